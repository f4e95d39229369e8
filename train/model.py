"""The trained network, and what it answers under the exported contract."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..artifacts import LabelBank
from .decoder import LabelDecoder
from .encoders import make_encoder


class Classifier(nn.Module):
    """Normalisation, encoder and head: images in 0..1 to logits or to a predicted label.

    Args:
        encoder: name of the encoder.
        classes: number of classes K.
        label_shape: shape of one label, None for logits.
        mean: normalisation per channel, in units of 0..1.
        std: likewise.
        bank: if given, the head predicts labels less the bank's mean label, over the bank's spread.
    """

    mean: Tensor
    std: Tensor
    centre: Tensor

    def __init__(
        self,
        encoder: str,
        classes: int,
        label_shape: Sequence[int] | None,
        mean: Sequence[float],
        std: Sequence[float],
        bank: LabelBank | None = None,
    ) -> None:
        super().__init__()
        self.encoder = make_encoder(encoder)
        self.classes = classes
        features = self.encoder.features
        if label_shape is not None and len(label_shape) == 2:
            self.head: nn.Module = LabelDecoder(features, label_shape[0])
        else:
            self.head = nn.Linear(features, label_shape[0] if label_shape else classes)
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1), persistent=False)
        self.spread = bank.spread if bank else None
        centre = torch.from_numpy(bank.labels.mean(0)) if bank else torch.zeros(())
        self.register_buffer("centre", centre, persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        """Map images [N, 3, H, W] in 0..1 to logits [N, K] or labels [N, *label shape]."""
        output = self.head(self.encoder((image - self.mean) / self.std))
        return output if self.spread is None else self.centre + self.spread * output.float()


class LabelAnswers(nn.Module):
    """From predicted labels to `scores` and `loss` against a label bank.

    `scores` are minus the mean squared distance to each row over the temperature. The square is
    expanded into one matrix product, |f|^2 - 2 f.b + |b|^2, on labels with the bank's mean
    subtracted: without that, float32 loses three digits to cancellation.
    """

    label_bank: Tensor
    centre: Tensor
    rows: Tensor
    squares: Tensor

    def __init__(self, bank: LabelBank) -> None:
        super().__init__()
        labels = torch.from_numpy(bank.labels)
        flat = labels.double().flatten(1)
        centred = flat - flat.mean(0)
        self.register_buffer("label_bank", labels)
        self.register_buffer("centre", flat.mean(0).float())
        self.register_buffer("rows", centred.float().T.contiguous())
        self.register_buffer("squares", (centred**2).sum(1).float())
        self.scale = -1.0 / (flat.shape[1] * bank.temperature)

    def scores(self, label: Tensor) -> Tensor:
        """Map labels [N, *label shape] to scores [N, K]."""
        flat = label.flatten(1) - self.centre
        distance = (flat * flat).sum(1, keepdim=True) - 2 * (flat @ self.rows) + self.squares
        return distance * self.scale

    def loss(self, label: Tensor) -> Tensor:
        """Mean smooth L1 of labels [N, *label shape] to each bank row: [N, K]."""
        bank = self.label_bank.flatten(1)
        difference = (label.flatten(1).unsqueeze(1) - bank.unsqueeze(0)).abs()
        clipped = difference.clamp(max=1.0)
        return (clipped * (difference - 0.5 * clipped)).mean(2)


class Contract(nn.Module):
    """A trained classifier with the outputs of the exported contract.

    `forward` returns `(scores,)` for logits, `(scores, label, loss)` for labels. The sounds of the class
    names, if given, are carried along.
    """

    name_audio: Tensor | None

    def __init__(self, model: Classifier, bank: LabelBank | None, names: LabelBank | None = None) -> None:
        super().__init__()
        self.model = model
        self.answers = LabelAnswers(bank) if bank else None
        self.register_buffer("name_audio", torch.from_numpy(names.labels) if names else None)

    def scores(self, output: Tensor) -> Tensor:
        """Map what the network put out, logits [N, K] or labels [N, *label shape], to scores [N, K]."""
        return output if self.answers is None else self.answers.scores(output)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Answer images [N, 3, H, W] in 0..1."""
        output = self.model(image)
        if self.answers is None:
            return (output,)
        return self.scores(output), output, self.answers.loss(output)
