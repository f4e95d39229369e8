"""The training loop: resumable to the bit, best epoch by validation, final figure on the test part."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ..artifacts import LabelBank
from ..errors import VivavoceError
from .augment import augment
from .backbones import Backbone
from .data import SIDE, Splits
from .evaluate import evaluate
from .feed import Feed
from .history import Epoch, write_logs
from .learned.ending import finish
from .learned.judging import judge_epoch
from .model import Classifier, Contract
from .objectives import Moment, make_objective
from .optimizers import make_optimizer, pack, unpack
from .run import CHECKPOINT, RESULT, Config, read_tensors, save_tensors

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
        recipe = config.recipe
        torch.manual_seed(config.seed)
        self.config, self.splits, self.folder, self.device = config, splits, folder, device
        layout = torch.channels_last if recipe.channels_last else torch.contiguous_format
        network = config.model(bank)
        if config.weights and isinstance(network.encoder, Backbone):
            network.encoder.load(config.weights)
        self.model = network.to(device).to(memory_format=layout)  # pyright: ignore[reportCallIssue]
        self.average = AveragedModel(
            self.model, multi_avg_fn=get_ema_multi_avg_fn(recipe.ema), use_buffers=True
        )
        self.judged = cast(Classifier, self.average.module) if recipe.ema else self.model
        self.bank = bank
        self.objective = make_objective(config, bank, device, self.model, len(splits.train))
        self.optimizer = make_optimizer(recipe, [*self.model.parameters(), *self.objective.parameters()])
        self.feed = Feed(splits.train, device)
        self.history: list[Epoch] = []
        self.best: dict[str, Tensor] = {}
        self.best_objective: dict[str, Tensor] = {}

    @property
    def contract(self) -> Contract:
        """The network that is judged, and the labels that its predictions are compared with now."""
        return Contract(self.judged, self.objective.bank(self.bank)).to(self.device)

    def train(self, progress: Progress, report: Callable[[Epoch], None]) -> dict[str, Any]:
        """Train to the last epoch and return the result: best epoch and figures on the test part.

        Raises:
            VivavoceError: the loss is not finite; the last good checkpoint stays.
        """
        for number in range(len(self.history), self.config.recipe.epochs):
            epoch = self._epoch(number, progress)
            if not self.history or epoch.rank > max(e.rank for e in self.history):
                self.best = {k: v.clone() for k, v in self.judged.state_dict().items()}
                self.best_objective = {k: v.clone() for k, v in self.objective.state_dict().items()}
            self.history.append(epoch)
            self.save()
            report(epoch)
        self.judged.load_state_dict(self.best)
        self.objective.load_state_dict(self.best_objective)
        if self.config.aim:
            contract, objective = self.contract, self.objective
            self.bank = finish(self.config.aim, self.bank, contract, objective, self.splits, self.folder)
        test = evaluate(self.contract, self.objective, self.splits.test, self.device)
        best = max(self.history, key=lambda e: e.rank)
        result = {
            "epochs": self.config.recipe.epochs,
            "best_epoch": best.epoch,
            "accuracy": {"validation": best.validation_accuracy, "test": test.accuracy}
            | ({} if test.threshold is None or self.config.aim else {"test_threshold": test.threshold}),
        }
        save_tensors(self.folder / RESULT, self.best, result)
        return result

    def _epoch(self, number: int, progress: Progress) -> Epoch:
        """One pass over the training part; all its randomness comes from the seed and its number."""
        recipe, n = self.config.recipe, len(self.splits.train)
        seed = self.config.seed * 1_000_003 + number
        torch.manual_seed(seed)  # for dropout, where an encoder has it
        generator = torch.Generator().manual_seed(seed)
        fixed = torch.Generator().manual_seed(self.config.seed)
        order = torch.randperm(n, generator=fixed if self.objective.fixed_batches else generator)
        steps = math.ceil(n / recipe.batch_size)
        batches = list(order.split(recipe.batch_size))
        self.model.train()
        started, total, rate = time.perf_counter(), 0.0, 0.0
        for step, (images, classes) in enumerate(self.feed.batches(batches)):
            rate = recipe.rate(number * steps + step, steps)
            if len(classes) < 2:
                continue  # batch normalisation needs two images
            moment = Moment(number, number * steps + step, batches[step])
            loss = self._step(images, classes, rate, generator, moment)
            if not math.isfinite(loss):
                raise VivavoceError(
                    f"the training loss is {loss} at epoch {number + 1}, step {step + 1}; the "
                    f"checkpoint of epoch {number} is kept in {self.folder}; try a lower --learning-rate"
                )
            total += loss * len(classes)
            progress(number * steps + step + 1, recipe.epochs * steps, loss)
        score = evaluate(self.contract, self.objective, self.splits.validation, self.device)
        seconds = time.perf_counter() - started
        curve = judge_epoch(self.config.aim, self.contract, self.splits.test, recipe.batch_size)
        return Epoch(number + 1, rate, total / n, score.loss, score.accuracy, seconds, **curve)

    def _step(
        self, images: Tensor, classes: Tensor, rate: float, generator: torch.Generator, moment: Moment
    ) -> float:
        """One update on images uint8 [n, 3, H, W]; returns their loss."""
        recipe = self.config.recipe
        padding = round(recipe.crop_padding * images.shape[3] / SIDE)
        images = augment(images, padding, recipe.flip, generator).float() / 255
        low = recipe.precision == "bfloat16"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=low):
            output = self.model(images)
        loss = self.objective(output.float(), classes, moment)
        self.optimizer.param_groups[0]["lr"] = rate
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        if recipe.ema:
            self.average.update_parameters(self.model)
        return loss.item()

    def save(self) -> None:
        """Write the checkpoint of the last whole epoch, and the logs."""
        tensors = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        tensors |= {f"best.{k}": v for k, v in self.best.items()}
        if self.config.recipe.ema:
            tensors |= {f"average.{k}": v for k, v in self.average.state_dict().items()}
        tensors |= {f"objective.{k}": v for k, v in self.objective.state_dict().items()}
        tensors |= {f"best_objective.{k}": v for k, v in self.best_objective.items()}
        tensors |= pack(self.optimizer)
        save_tensors(self.folder / CHECKPOINT, tensors, {"history": [asdict(e) for e in self.history]})
        write_logs(self.folder, self.history)

    def resume(self) -> None:
        """Go back to the last checkpoint; without one, stay at the beginning."""
        if not (self.folder / CHECKPOINT).exists():
            return
        tensors, about = read_tensors(self.folder / CHECKPOINT)
        self.model.load_state_dict(_under(tensors, "model."))
        if self.config.recipe.ema:
            self.average.load_state_dict(_under(tensors, "average."))
        self.best = {k: v.to(self.device) for k, v in _under(tensors, "best.").items()}
        self.objective.load_state_dict(_under(tensors, "objective."))
        self.best_objective = _under(tensors, "best_objective.")
        unpack(self.optimizer, tensors)
        self.history = [Epoch(**e) for e in about["history"]]


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}
