"""Creates onnxruntime sessions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ..errors import VivavoceError

if TYPE_CHECKING:
    import onnxruntime

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}

Optimisation = Literal["all", "basic", "none"]
LEVELS = {"all": "ORT_ENABLE_ALL", "basic": "ORT_ENABLE_BASIC", "none": "ORT_DISABLE_ALL"}

BLOCKING = (("session.intra_op.allow_spinning", "0"),)
"""Idle threads sleep: one that spins takes the core from whoever else works, a second session or numpy."""

SPINNING = (("session.intra_op.spin_duration_us", "200"), ("session.force_spinning_stop", "1"))
"""They spin for as long as the gap between two operators lasts, and never between two runs. ResNet-32's
gradient: 51.0 instead of 51.8 ms on two quiet cores, 103 instead of 122 ms where two others want them."""

BOUNDED = (1, 26)
"""The release of onnxruntime from which a spin can be short; before, it lasts for milliseconds."""


ON_CUDA = {"arena_extend_strategy": "kSameAsRequested"}
"""Each session has its own arena on the card; by default it doubles whenever it grows, at others' expense."""

_threads = 0
"""Of sessions that are not told how many; 0: as many as there are cores."""


def use_threads(count: int) -> None:
    """Let the sessions that this process makes from now on have `count` threads, unless told otherwise."""
    global _threads
    _threads = count


def check_device(device: str) -> None:
    """Refuse a device that this installation cannot use.

    Raises:
        VivavoceError: onnxruntime is not installed, knows no such device, or was built without it.
    """
    try:
        import onnxruntime
    except ImportError:
        raise VivavoceError(
            'running a model needs onnxruntime; install it with: pip install "vivavoce[cpu]" '
            "(or vivavoce[gpu] on a machine with CUDA)"
        ) from None
    if device not in PROVIDERS:
        raise VivavoceError(f"no device {device!r}; choose one of {', '.join(PROVIDERS)}")
    if PROVIDERS[device] not in onnxruntime.get_available_providers():
        raise VivavoceError(
            "device cuda: the installed onnxruntime has no CUDA; install the extra `gpu` in place of `cpu` "
            "(pip uninstall onnxruntime; pip install 'vivavoce[gpu]')"
        )


def make_session(
    model: bytes | Path,
    where: str = "model",
    device: str = "cpu",
    threads: int | None = None,
    optimise: Optimisation = "all",
    optimised: Path | None = None,
) -> onnxruntime.InferenceSession:
    """Make an onnxruntime session for a serialised model; see `sessions` for one in memory.

    Args:
        model: the serialised graph, or the file that holds it.
        where: what to call it in an error.
        device: `cpu` or `cuda`.
        threads: onnxruntime's threads; None: see `use_threads`, or as many as there are cores.
        optimise: which optimisations of the graph: `all`, `basic` (the result is a standard graph) or `none`.
        optimised: write the optimised graph to this file.

    Raises:
        VivavoceError: onnxruntime cannot run the model, or cannot use the device (a driver is missing, say).
    """
    check_device(device)
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = threads or _threads
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, LEVELS[optimise])
    if optimised:
        options.optimized_model_filepath = str(optimised)
    # With memory patterns the second run allocates everything again and keeps what the first one took: twice
    # the memory (ResNet-50, 8 images: 0.72 -> 0.24 GB over the session's own), and no faster.
    options.enable_mem_pattern = False
    for key, value in SPINNING if _release(onnxruntime.__version__) >= BOUNDED else BLOCKING:
        options.add_session_config_entry(key, value)
    providers = [PROVIDERS["cpu"]] if device == "cpu" else [(PROVIDERS[device], ON_CUDA), PROVIDERS["cpu"]]
    try:
        session = onnxruntime.InferenceSession(model, options, providers=providers)
    except Exception as error:  # onnxruntime's exceptions share no base class
        raise VivavoceError(f"{where}: onnxruntime cannot run this model: {first_line(error)}") from error
    if session.get_providers()[0] != PROVIDERS[device]:
        raise VivavoceError("device cuda: onnxruntime could not start it; are the CUDA libraries installed?")
    return session


def _release(version: str) -> tuple[int, int]:
    """Major and minor number of a version such as 1.31.1."""
    major, minor = version.split(".")[:2]
    return int(major), int(minor)


def first_line(error: BaseException) -> str:
    """The first line of an error's text, or its type if the text is empty."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
