"""The training loop: resumable to the bit, best epoch by validation, final figure on the test part."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..artifacts import LabelBank
from ..errors import VivavoceError
from .adversarial import Adversary
from .airbench import SAMPLES, Airbench
from .augment import alternating, augment, cut_out, draw, to_unit
from .average import Average, Lookahead
from .backbones import Backbone
from .data import Splits
from .epoch import Epoch
from .evaluate import evaluate
from .feed import Feed
from .history import Journal
from .learned.ending import finish
from .learned.judging import judge_epoch
from .model import Classifier, Contract
from .objectives import Moment
from .optimizers import make_optimizer, pack, set_rate, unpack
from .parallel import World
from .recipes import SIDE
from .registry import make_objective
from .robustness import robust_accuracies
from .run import CHECKPOINT, RESULT, Config, read_tensors, save_tensors, snapshot, start_from

StepDone = Callable[[int, int, float], None]
"""Called with the step, the number of steps and the loss: after every step, on a GPU after some."""

LOOKS = {"cpu": 1, "cuda": 25}
"""Look at the loss every so many steps: each look makes a GPU wait."""


class Trainer:
    """One training run: network, momentum and history, and the way to their checkpoint.

    Args:
        config: the run's configuration.
        bank: label bank, None for logits.
        splits: the data.
        folder: where checkpoints go.
        device: where to train.
        world: the processes that train together.
    """

    def __init__(
        self,
        config: Config,
        bank: LabelBank | None,
        splits: Splits,
        folder: Path,
        device: torch.device,
        world: World | None = None,
    ) -> None:
        recipe = config.recipe
        torch.manual_seed(config.seed)
        self.config, self.splits, self.folder, self.device = config, splits, folder, device
        self.world = world or World()
        self.model = _network(config, bank, splits).to(device)
        if recipe.channels_last:
            self.model.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        self.average = Average(self.model, recipe.ema) if recipe.ema else None
        steps = recipe.epochs * len(range(0, len(splits.train), recipe.batch_size))
        self.lookahead = Lookahead(self.model, recipe.lookahead, steps) if recipe.lookahead else None
        self.sides = alternating(len(splits.train), config.seed) if recipe.flip and recipe.alternate else None
        self.judged = self.average.model if self.average else self.model
        self.bank = bank
        self.objective = make_objective(config, bank, device, self.model, len(splits.train))
        plan = config.adversarial
        self.adversary = Adversary(plan, self.model, bank, device) if plan else None
        self.optimizer = make_optimizer(recipe, self.model, self.objective.parameters())
        self.network = self.world.wrap(self.model, device)
        self.feed = Feed(splits.train, device)
        self.journal = Journal(folder)
        self.history: list[Epoch] = []
        self.keep: frozenset[int] = frozenset()
        """Epochs after which the judged weights are also kept in a file of their own."""
        self.best: dict[str, Tensor] = {}
        self.best_objective: dict[str, Tensor] = {}

    @property
    def contract(self) -> Contract:
        """The network that is judged, and the labels that its predictions are compared with now."""
        return Contract(self.judged, self.objective.bank(self.bank)).to(self.device)

    def train(self, progress: StepDone, report: Callable[[Epoch], None]) -> dict[str, Any] | None:
        """Train to the last epoch.

        Returns:
            Best epoch and figures on the test part; None in all processes but the first.

        Raises:
            VivavoceError: the loss is not finite; the last good checkpoint stays.
        """
        for number in range(len(self.history), self.config.recipe.epochs):
            started = time.perf_counter()
            loss, rate = self._epoch(number, progress)
            if self.world.first:
                report(self._judge(number, loss, rate, started))
            self.world.wait()
        return self._finish() if self.world.first else None

    def _judge(self, number: int, loss: float, rate: float, started: float) -> Epoch:
        """Judge the weights of this epoch and keep them."""
        part, precision = self.splits.validation, self.config.recipe.precision
        score = evaluate(self.contract, self.objective, part, self.device, precision=precision)
        seconds = time.perf_counter() - started
        curve: dict[str, float] = judge_epoch(self.config, self.contract, self.splits.test)
        if self.adversary:
            curve |= robust_accuracies(self.contract, self.adversary, part, self.device, precision)
        epoch = Epoch(number + 1, rate, loss, score.loss, score.accuracy, seconds, **curve)
        if not self.history or epoch.rank > max(e.rank for e in self.history):
            self.best = {k: v.clone() for k, v in self.judged.state_dict().items()}
            self.best_objective = {k: v.clone() for k, v in self.objective.state_dict().items()}
        self.history.append(epoch)
        if epoch.epoch in self.keep:
            save_tensors(snapshot(self.folder, epoch.epoch), self.judged.state_dict(), asdict(epoch))
        self.save()
        return epoch

    def _finish(self) -> dict[str, Any]:
        self.judged.load_state_dict(self.best)
        self.objective.load_state_dict(self.best_objective)
        if settings := self.config.objective:
            contract, objective = self.contract, self.objective
            self.bank = finish(settings, self.bank, contract, objective, self.splits, self.folder)
        test = evaluate(self.contract, self.objective, self.splits.test, self.device, thresholds=True)
        best = max(self.history, key=lambda e: e.rank)
        result = {
            "epochs": self.config.recipe.epochs,
            "best_epoch": best.epoch,
            "accuracy": {"validation": best.validation_accuracy, "test": test.accuracy}
            | ({} if best.robust_accuracy is None else {"validation_robust": best.robust_accuracy})
            | ({} if test.threshold is None or self.config.objective else {"test_threshold": test.threshold}),
        }
        save_tensors(self.folder / RESULT, self.best, result)
        self.journal.finish(self.history)
        return result

    def _epoch(self, number: int, progress: StepDone) -> tuple[float, float]:
        """One pass over the training part; all its randomness comes from the seed and its number.

        Returns:
            Mean loss over all images, and the learning rate at the end.
        """
        recipe, n = self.config.recipe, len(self.splits.train)
        seed = self.config.seed * 1_000_003 + number
        torch.manual_seed(seed)  # for dropout, where an encoder has it
        generator = torch.Generator().manual_seed(seed)
        fixed = torch.Generator().manual_seed(self.config.seed)
        chance = generator if recipe.shuffle and not self.objective.fixed_batches else fixed
        order = torch.randperm(n, generator=chance).split(recipe.batch_size)
        shares = [whole[self.world.share(len(whole))] for whole in order]
        self.model.train()
        if recipe.freeze_encoder:
            self.model.encoder.eval()
        total, rate = torch.zeros((), device=self.device, dtype=torch.float64), 0.0
        for step, (images, classes) in enumerate(self.feed.batches(shares)):
            done = number * len(order) + step
            rate = recipe.rate(done, len(order))
            if len(order[step]) < 2 * self.world.size:
                continue  # batch normalisation needs two images
            moment = Moment(number, done, order[step])
            loss = self._step(images, classes, moment, rate, generator)
            total += loss.double() * len(classes)
            if (step + 1) % LOOKS[self.device.type] == 0 or step + 1 == len(order):
                self._check(seen := loss.item(), number, step)
                progress(done + 1, recipe.epochs * len(order), seen)
        return self.world.total(total).item() / n, rate

    def _check(self, loss: float, number: int, step: int) -> None:
        if not math.isfinite(loss):
            kept = f"; the checkpoint of epoch {number} is kept in {self.folder}" if number else ""
            raise VivavoceError(
                f"the training loss is {loss} at epoch {number + 1}, step {step + 1}{kept}; try a lower "
                "--learning-rate"
            )

    def _step(
        self, images: Tensor, classes: Tensor, moment: Moment, rate: float, chance: torch.Generator
    ) -> Tensor:
        """One update; images uint8 [n, 3, H, W] are this process's share of the batch of `moment`.

        Returns:
            The mean loss of this share.
        """
        recipe, whole = self.config.recipe, len(moment.indices)
        padding = round(recipe.crop_padding * images.shape[3] / SIDE)
        draws = draw(whole, padding, recipe.flip, chance, recipe.cutout > 0)
        if self.sides is not None:
            draws = draws._replace(flipped=self.sides[moment.indices] ^ bool(moment.epoch % 2))
        draws = draws.part(self.world.share(whole))
        images = to_unit(augment(images, padding, draws, recipe.border))
        if draws.middle is not None:
            side = round(recipe.cutout * images.shape[3] / SIDE)
            images = cut_out(images, side, draws.middle, self.model.mean)
        loss = self._loss(images, classes, moment, chance)
        set_rate(self.optimizer, rate)
        self.optimizer.zero_grad()
        # Gradients are averaged over processes, whose shares may differ by an image.
        (loss * (len(classes) * self.world.size / whole)).backward()
        self.optimizer.step()
        if self.lookahead:
            self.lookahead.update(moment.step + 1)
        if self.average:
            self.average.update()
        return loss.detach()

    def _loss(self, images: Tensor, classes: Tensor, moment: Moment, chance: torch.Generator) -> Tensor:
        if self.adversary is None:
            return self.objective(self._answer(self.network, images), classes, moment)
        whole = torch.Size([len(moment.indices), *images.shape[1:]])
        noise = self.adversary.noise(whole, chance)[self.world.share(len(moment.indices))].to(self.device)
        attacked = self.adversary.attack(partial(self._answer, self.model), images, classes, noise)
        if self.adversary.plan.method == "trades":
            clean, divergence = self.adversary.combined(partial(self._answer, self.network), images, attacked)
            return self.objective(clean, classes, moment) + divergence
        return self.objective(self._answer(self.network, attacked), classes, moment)

    def _answer(self, network: nn.Module, images: Tensor) -> Tensor:
        half = self.config.recipe.precision == "bfloat16"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=half):
            return network(images).float()

    def save(self) -> None:
        """Write the checkpoint of the last whole epoch, and the logs."""
        tensors = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        tensors |= {f"best.{k}": v for k, v in self.best.items()}
        if self.average:
            tensors |= {f"average.{k}": v for k, v in self.average.tensors().items()}
        if self.lookahead:
            tensors |= {f"slow.{k}": v for k, v in self.lookahead.slow.items()}
        tensors |= {f"objective.{k}": v for k, v in self.objective.state_dict().items()}
        tensors |= {f"best_objective.{k}": v for k, v in self.best_objective.items()}
        tensors |= pack(self.optimizer)
        save_tensors(self.folder / CHECKPOINT, tensors, {"history": [asdict(e) for e in self.history]})
        self.journal.write(self.history)

    def resume(self) -> None:
        """Go back to the last checkpoint; without one, stay at the beginning."""
        if not (self.folder / CHECKPOINT).exists():
            return
        tensors, about = read_tensors(self.folder / CHECKPOINT)
        self.model.load_state_dict(_under(tensors, "model."))
        if self.average:
            self.average.restore(_under(tensors, "average."))
        if self.lookahead:
            self.lookahead.restore(_under(tensors, "slow."))
        self.best = {k: v.to(self.device) for k, v in _under(tensors, "best.").items()}
        self.objective.load_state_dict(_under(tensors, "objective."))
        self.best_objective = _under(tensors, "best_objective.")
        unpack(self.optimizer, tensors)
        self.history = [Epoch(**e) for e in about["history"]]


def _network(config: Config, bank: LabelBank | None, splits: Splits) -> Classifier:
    network = config.model(bank)
    if config.recipe.freeze_encoder:
        network.encoder.requires_grad_(False)
    if config.weights and Path(config.weights).is_dir():
        start_from(network, Path(config.weights))
        return network
    if isinstance(network.encoder, Airbench):
        few = to_unit(torch.from_numpy(splits.train.images[:SAMPLES]))
        if config.adversarial:
            # What hardly varies in clean images varies under attack: magnified, it would drown the rest.
            few = few + config.adversarial.epsilon * (2 * torch.randint(2, few.shape) - 1)
        network.encoder.whiten((few - network.mean) / network.std)
    if config.weights and isinstance(network.encoder, Backbone):
        network.encoder.load(config.weights)
    return network


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}
