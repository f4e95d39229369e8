"""How many images at a time an audit attacks: as many as fit the memory where the model runs."""

from __future__ import annotations

from ..artifacts import ExportedModel
from ..artifacts.onnx_model import OnnxModel
from ..gradient.card import card_budget
from ..gradient.memory import fitting, most_on_host
from .differentiable import Gradient

MEMORY = 2_000_000_000
"""Resident memory that an audit keeps to when it chooses its batch size, bytes."""
LARGEST = 64
"""Most images at a time; larger batches are not faster."""
LARGEST_ON_CUDA = 512
"""The same on a GPU, which larger batches keep busy."""


def room(model: ExportedModel) -> int:
    """Bytes that a model and its gradient may take where they run: on the host, or on the card."""
    return card_budget() if _on_cuda(model) else MEMORY


def most(model: ExportedModel, gradient: Gradient | None, budget: int) -> int:
    """The largest power of two of images that fits the memory.

    Args:
        model: the opened file.
        gradient: its gradient, of ONNX files.
        budget: from `room`. On a card, what attacks hold on the host must keep to `MEMORY` besides.
    """
    largest = LARGEST
    if _on_cuda(model):
        entry = model.manifest.input
        largest = most_on_host(MEMORY, 4 * entry.channels * entry.height * entry.width, LARGEST_ON_CUDA)
    if isinstance(model, OnnxModel):
        return fitting(gradient, budget, largest)  # type: ignore[arg-type]
    from ..gradient.torchscript import batch_size as of_torch

    return of_torch(model, budget, largest)  # type: ignore[arg-type]


def _on_cuda(model: ExportedModel) -> bool:
    return getattr(model, "device", "cpu") == "cuda"
