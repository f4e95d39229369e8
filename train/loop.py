"""The training loop: resumable to the bit, best epoch by validation, final figure on the test part."""

from __future__ import annotations

import csv
import io
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..artifacts import LabelBank
from ..artifacts.decoding import THRESHOLD
from ..errors import VivavoceError
from .augment import augment
from .data import Part, Splits
from .labels import KINDS
from .model import Contract, Objective
from .run import CHECKPOINT, RESULT, Config, read_tensors, save_tensors, write_whole


@dataclass(frozen=True)
class Epoch:
    """The figures of one epoch."""

    epoch: int
    """Counted from 1."""
    learning_rate: float
    """At the last step."""
    train_loss: float
    validation_loss: float
    validation_accuracy: float
    """Nearest-neighbour (or arg-max) accuracy in 0..1."""
    seconds: float


@dataclass(frozen=True)
class Score:
    """How a model does on one part of the data."""

    accuracy: float
    """Nearest-neighbour (or arg-max) accuracy in 0..1."""
    loss: float
    threshold: float | None
    """Share of images whose prediction lies within the threshold of the true label; label models only."""


Progress = Callable[[int, int, float], None]
"""Called after each step with the step, the number of steps and the loss."""


class Trainer:
    """One training run: network, momentum and history, and the way to their checkpoint.

    Args:
        config: the run's configuration.
        bank: label bank, None for logits.
        splits: the data.
        folder: where checkpoints go.
        device: where to train.
    """

    def __init__(
        self, config: Config, bank: LabelBank | None, splits: Splits, folder: Path, device: torch.device
    ) -> None:
        torch.manual_seed(config.seed)
        self.config, self.splits, self.folder, self.device = config, splits, folder, device
        self.model = config.model(bank).to(device)
        self.contract = Contract(self.model, bank).to(device)
        self.objective = Objective(bank, device, KINDS[config.label].smoothing)
        recipe = config.recipe
        self.optimizer = torch.optim.SGD(
            self.model.parameters(),
            lr=recipe.learning_rate,
            momentum=recipe.momentum,
            nesterov=recipe.nesterov,
            weight_decay=recipe.weight_decay,
        )
        self.history: list[Epoch] = []
        self.best: dict[str, Tensor] = {}

    def train(self, progress: Progress, report: Callable[[Epoch], None]) -> dict[str, Any]:
        """Train to the last epoch and return the result: best epoch and figures on the test part.

        Raises:
            VivavoceError: the loss is not finite; the last good checkpoint stays.
        """
        for number in range(len(self.history), self.config.recipe.epochs):
            epoch = self._epoch(number, progress)
            if not self.history or _rank(epoch) > max(map(_rank, self.history)):
                self.best = {k: v.clone() for k, v in self.model.state_dict().items()}
            self.history.append(epoch)
            self.save()
            report(epoch)
        self.model.load_state_dict(self.best)
        test = evaluate(self.contract, self.objective, self.splits.test, self.device)
        best = max(self.history, key=_rank)
        result = {
            "epochs": self.config.recipe.epochs,
            "best_epoch": best.epoch,
            "accuracy": {"validation": best.validation_accuracy, "test": test.accuracy}
            | ({} if test.threshold is None else {"test_threshold": test.threshold}),
        }
        save_tensors(self.folder / RESULT, self.best, result)
        return result

    def _epoch(self, number: int, progress: Progress) -> Epoch:
        """One pass over the training part; all its randomness comes from the seed and its number."""
        recipe, train = self.config.recipe, self.splits.train
        generator = torch.Generator().manual_seed(self.config.seed * 1_000_003 + number)
        order = torch.randperm(len(train), generator=generator).numpy()
        steps = math.ceil(len(train) / recipe.batch_size)
        self.model.train()
        started, total, rate = time.perf_counter(), 0.0, 0.0
        for step in range(steps):
            rate = recipe.rate(number * steps + step, steps)
            self.optimizer.param_groups[0]["lr"] = rate
            chosen = order[step * recipe.batch_size : (step + 1) * recipe.batch_size]
            if len(chosen) < 2:
                continue  # batch normalisation needs two images
            images = torch.from_numpy(train.images[chosen]).to(self.device)
            images = augment(images.float() / 255, recipe.crop_padding, recipe.flip, generator)
            loss = self.objective(self.model(images), torch.from_numpy(train.classes[chosen]).to(self.device))
            if not math.isfinite(loss.item()):
                raise VivavoceError(
                    f"the training loss is {loss.item()} at epoch {number + 1}, step {step + 1}; the "
                    f"checkpoint of epoch {number} is kept in {self.folder}; try a lower --learning-rate"
                )
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            total += loss.item() * len(chosen)
            progress(number * steps + step + 1, recipe.epochs * steps, loss.item())
        score = evaluate(self.contract, self.objective, self.splits.validation, self.device)
        seconds = time.perf_counter() - started
        return Epoch(number + 1, rate, total / len(train), score.loss, score.accuracy, seconds)

    def save(self) -> None:
        """Write the checkpoint of the last whole epoch, and the history as CSV."""
        tensors = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        tensors |= {f"best.{k}": v for k, v in self.best.items()}
        state = self.optimizer.state_dict()["state"]
        tensors |= {f"momentum.{k}": v["momentum_buffer"] for k, v in state.items()}
        save_tensors(self.folder / CHECKPOINT, tensors, {"history": [asdict(e) for e in self.history]})
        table = io.StringIO()
        writer = csv.DictWriter(table, [*Epoch.__dataclass_fields__])
        writer.writeheader()
        writer.writerows(asdict(e) for e in self.history)
        write_whole(self.folder / "history.csv", table.getvalue().encode())

    def resume(self) -> None:
        """Go back to the last checkpoint; without one, stay at the beginning."""
        if not (self.folder / CHECKPOINT).exists():
            return
        tensors, about = read_tensors(self.folder / CHECKPOINT)
        self.model.load_state_dict(_under(tensors, "model."))
        self.best = {k: v.to(self.device) for k, v in _under(tensors, "best.").items()}
        state = self.optimizer.state_dict()
        momentum = _under(tensors, "momentum.")
        state["state"] = {int(k): {"momentum_buffer": v} for k, v in momentum.items()}
        self.optimizer.load_state_dict(state)
        self.history = [Epoch(**e) for e in about["history"]]


def _rank(epoch: Epoch) -> tuple[float, float]:
    """Higher is better: validation accuracy, ties by lower validation loss."""
    return epoch.validation_accuracy, -epoch.validation_loss


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}


@torch.no_grad()
def evaluate(
    contract: Contract, objective: Objective, part: Part, device: torch.device, batch: int = 256
) -> Score:
    """Accuracy, loss and threshold accuracy on one part, in evaluation mode."""
    contract.eval()
    right, near, total = 0, 0, 0.0
    for first in range(0, len(part), batch):
        images = torch.from_numpy(part.images[first : first + batch]).to(device).float() / 255
        classes = torch.from_numpy(part.classes[first : first + batch]).to(device)
        outputs = contract(images)
        right += int((outputs[0].argmax(1) == classes).sum())
        total += objective(outputs[1] if len(outputs) == 3 else outputs[0], classes).item() * len(classes)
        if len(outputs) == 3:
            near += int((outputs[2].gather(1, classes[:, None]) < THRESHOLD).sum())
    threshold = near / len(part) if objective.labels is not None else None
    return Score(right / len(part), total / len(part), threshold)
