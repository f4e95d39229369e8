"""Every attack by the name that protocols and options use."""

from __future__ import annotations

from ..natural.kinds import KINDS
from ..natural.shift import SHIFTED, Shifted
from .adaptive import FalseAcceptance, Rejection
from .apgd import APGD
from .base import Attack
from .boundary import Boundary
from .fab import FAB
from .fgsm import FGSM
from .fmn import FMN
from .iterative import Iterative
from .margin import Margin
from .noise import Noise
from .patch import Patch, RandomPatch
from .patch_rs import PatchRS
from .pgd import PGD
from .released import ReleasedFGSM, ReleasedIterative
from .sigma_zero import SigmaZero
from .sparse_rs import SparseRS
from .square import Square
from .universal import UniversalPatch, UniversalPerturbation

ATTACKS: dict[str, Attack] = {
    "fgsm": FGSM(),
    "iterative": Iterative(),
    "fgsm-released": ReleasedFGSM(),
    "iterative-released": ReleasedIterative(),
    "margin": Margin(),
    "pgd": PGD(steps=20, loss="margin"),
    "apgd-ce": APGD("cross-entropy"),
    "apgd-t": APGD("targeted-dlr"),
    "apgd-pm": APGD("probability-margin"),
    "apgd-malt": APGD("targeted-dlr", rivals=3, nearest=True),
    "apgd-margin": APGD("margin"),
    "apgd-difference": APGD("difference", rivals=None),
    "rejection": Rejection(),
    "false-acceptance": FalseAcceptance(),
    "fab-t": FAB(),
    "square": Square(),
    "square-300": Square(queries=300),
    "boundary": Boundary(),
    "noise": Noise(),
    "sigma-zero": SigmaZero(),
    "sparse-rs": SparseRS(),
    "fmn": FMN(),
    "sigma-zero-minimum": SigmaZero(minimum=True),
    "boundary-minimum": Boundary(minimum=True),
    "patch": Patch(),
    "patch-rs": PatchRS(),
    "patch-random": RandomPatch(),
    "patch-universal": UniversalPatch(),
    "universal": UniversalPerturbation(),
    **KINDS,
    SHIFTED: Shifted(),
}
"""Every attack by name, with the settings its protocols use."""
