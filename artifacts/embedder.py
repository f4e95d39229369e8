"""The embeddings that an encoder's file gives for images."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..errors import VivavoceError, naming
from .configs import with_declared
from .foreign import feed, with_settings_file
from .graph import part
from .manifest import Input
from .onnx_file import read_onnx
from .preprocessing import Preprocessing
from .runtime import first_line, make_session


class Embedder:
    """Maps images float32 [N, C, H, W] in 0..1 to embeddings [N, D].

    Args:
        path: an .onnx file without a manifest.
        options: how images are fed; `<model>.toml` next to the file fills what they leave open.

    Raises:
        VivavoceError: not such a file.
    """

    def __init__(self, path: Path, options: Preprocessing | None = None) -> None:
        if path.suffix != ".onnx" or not path.is_file():
            raise VivavoceError(f"{path}: no such .onnx file of an encoder")
        model = read_onnx(path)
        declared = {p.key: p.value for p in model.metadata_props}
        given = with_declared(with_settings_file(path, options), declared, path)
        with naming(path):
            fed = feed(model, path, given, ())
        self.path, self.value = path, fed.value
        self.input: Input = fed.entry.manifest(("0", "1"), path, given).input
        self.batch = fed.entry.batch if isinstance(fed.entry.batch, int) else None
        self.session = make_session(part(fed.graph, [fed.value], ["image"]).SerializeToString(), str(path))

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Embed images.

        Raises:
            VivavoceError: onnxruntime fails on them, or gives something else than numbers for each image.
        """
        size = self.batch or len(images)
        parts = []
        for k in range(0, len(images), size):
            some = images[k : k + size]
            filled = np.concatenate([some, np.repeat(some[-1:], size - len(some), axis=0)])
            try:
                found = np.asarray(self.session.run([self.value], {"image": filled})[0])
            except Exception as error:  # onnxruntime's exceptions share no base class
                raise VivavoceError(
                    f"{self.path}: onnxruntime failed on a batch: {first_line(error)}"
                ) from error
            parts.append(found.reshape(size, -1)[: len(some)])
        return np.concatenate(parts).astype(np.float32)
