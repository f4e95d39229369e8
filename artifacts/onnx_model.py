"""Opening an `.onnx` file."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from ..errors import VivavoceError, naming
from .classical import read_as_scores
from .configs import with_declared
from .contract import check_bank, check_graph, check_normalisation
from .decoding import Outputs
from .device import DeviceArray, rounded_up, run
from .foreign import adapt, with_settings_file
from .graph import part
from .manifest import METADATA_KEY, NAME_AUDIO, Manifest
from .normalisation import Affine, read_normalisation
from .onnx_file import read_onnx, read_structure
from .preprocessing import Preprocessing, refuse_options
from .runtime import check_device, first_line
from .sessions import session_of
from .understood import Understood
from .voice import FileVoice, has_voice

CONTRACT = ("scores", "label", "loss")


class OnnxModel:
    """An ONNX classifier under the contract; see `ExportedModel`."""

    def __init__(self, path: Path, preprocessing: Preprocessing | None = None, device: str = "cpu") -> None:
        check_device(device)
        self.path, self.device = path, device
        self.voice: FileVoice | None = None
        self.understood: Understood | None = None
        """How a file without a manifest is understood; None: the manifest says it."""
        model = read_onnx(path)
        text = next((p.value for p in model.metadata_props if p.key == METADATA_KEY), None)
        if text is None:
            read_as_scores(model)
            declared = {p.key: p.value for p in model.metadata_props}
            options = with_declared(with_settings_file(path, preprocessing), declared, path)
            self.preprocessing: Preprocessing | None = options
            with naming(path):
                found = adapt(model, path, self.preprocessing)
            self.graph, self.manifest, self.named = found.graph, found.manifest, found.named
            self.understood = found.understood
        else:
            refuse_options(path, preprocessing)
            self.preprocessing = None
            self.graph, self.manifest, self.named = model, Manifest.from_json(text, str(path)), True
            check_graph(model, self.manifest, path)
            if has_voice(model):
                self.voice = FileVoice(model, path, device)
                # In one session onnxruntime would run the vocoder for every batch of scores.
                answers = [o.name for o in model.graph.output if o.name in CONTRACT]
                self.graph = part(model, answers, ["image"])
        self.bank = take_initializer(self.graph, "label_bank", keep=True)
        self.name_audio = take_initializer(self.graph, NAME_AUDIO)
        self.normalisation: Affine | None = None
        if self.preprocessing is None:
            entry = self.manifest.input
            check_bank(self.bank, self.name_audio, self.manifest, path)
            self.normalisation = read_normalisation(self.graph, entry.channels, entry.height, entry.width)
            check_normalisation(self.normalisation, self.manifest, path)
        image = next(v for v in self.graph.graph.input if v.name == "image")
        size = image.type.tensor_type.shape.dim[0].dim_value
        self.pinned = size if size > 0 else None
        """Batch size that the file insists on; None: any."""
        self._wanted = [o.name for o in self.graph.graph.output if o.name in CONTRACT]

    @cached_property
    def session(self):
        """The onnxruntime session of the file."""
        return session_of(self.graph, str(self.path), self.device)

    def answer(self, images: np.ndarray | DeviceArray) -> Outputs:
        """Run the file on images [N, C, H, W] in 0..1, where they are.

        On a GPU convolutions are tuned for every batch size, so there batches are filled up to powers of two.

        Raises:
            VivavoceError: onnxruntime fails on them, or its answers have other shapes than those declared.
        """
        size = self.pinned or (rounded_up(len(images)) if self.device == "cuda" else len(images))
        parts = [self._run(images[i : i + size], size) for i in range(0, len(images), size)]
        whole = {name: np.concatenate([getattr(part, name) for part in parts]) for name in self._wanted}
        return Outputs(whole["scores"], whole.get("label"), whole.get("loss"))

    def _run(self, images: np.ndarray | DeviceArray, size: int) -> Outputs:
        """One run, filled up to a size with the last image."""
        n = len(images)
        if n < size:
            images = images[np.minimum(np.arange(size), n - 1)]
        try:
            outputs = run(self.session, self._wanted, {"image": images})
        except VivavoceError:  # names the file itself: the session could not be made
            raise
        except Exception as error:  # onnxruntime's exceptions share no base class
            raise VivavoceError(f"{self.path}: onnxruntime failed on a batch: {first_line(error)}") from error
        found = {
            name: np.atleast_1d(np.asarray(out))[:n] for name, out in zip(self._wanted, outputs, strict=True)
        }
        answers = Outputs(found["scores"], found.get("label"), found.get("loss"))
        return answers.check(n, self.manifest, self.path)


def take_initializer(model: onnx.ModelProto, name: str, keep: bool = False) -> np.ndarray | None:
    """The array of that name; unless kept it leaves the graph, where onnxruntime would call it unused."""
    found = next((t for t in model.graph.initializer if t.name == name), None)
    if found is None:
        return None
    if not keep:
        model.graph.initializer.remove(found)
    return numpy_helper.to_array(found)


def has_manifest(path: Path) -> bool:
    """Whether an `.onnx` file says itself how it is fed and read."""
    try:
        model = read_structure(path)
    except VivavoceError:
        return False
    return any(p.key == METADATA_KEY for p in model.metadata_props)
