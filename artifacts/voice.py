"""The vocoder that some files carry: from what the classifier said to sound, by the file itself."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import numpy as np
import onnx

from ..errors import VivavoceError
from .decoding import Outputs
from .graph import part
from .runtime import first_line, make_session

OUTPUTS = ("waveform", "samples")
"""float32 [N, L], zeros after each sound's own end, and int64 [N], where that is."""


def has_voice(model: onnx.ModelProto) -> bool:
    """Whether a file under the contract also puts out sound."""
    return {output.name for output in model.graph.output}.issuperset(OUTPUTS)


class FileVoice:
    """The vocoder of one ONNX file, run on its own: the classifier need not run again."""

    def __init__(self, model: onnx.ModelProto, path: Path, device: str) -> None:
        self.path, self.device = path, device
        self._model = part(model, OUTPUTS, ["scores", "label"])

    @cached_property
    def _session(self):
        return make_session(self._model.SerializeToString(), str(self.path), self.device)

    def __call__(self, outputs: Outputs) -> list[np.ndarray]:
        """The sounds of a batch of the file's own answers: mono float32 [samples] each.

        Raises:
            VivavoceError: onnxruntime fails on them.
        """
        try:
            said = {"scores": outputs.scores, "label": outputs.label}
            waveform, samples = map(np.asarray, self._session.run(list(OUTPUTS), said))
        except Exception as error:  # onnxruntime's exceptions share no base class
            raise VivavoceError(f"{self.path}: its vocoder failed: {first_line(error)}") from error
        return [sound[:length] for sound, length in zip(waveform, samples, strict=True)]
