"""The figures of one epoch."""

from __future__ import annotations

from dataclasses import dataclass

RUNAWAY = 1000.0
"""A training loss above this has diverged: guessing has a cross-entropy below 10, smooth L1 is at most 80."""


def short_loss(loss: float) -> str:
    """A loss with three decimals, or three digits where it has run away."""
    return f"{loss:.3f}" if abs(loss) < RUNAWAY else f"{loss:.3g}"


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
    test_accuracy: float | None = None
    """On the whole test part, in inference mode; only with an objective of `learned`, whose curves the
    adaptive-label paper compares. Not counted in `seconds`."""
    test_accuracy_train_mode: float | None = None
    """The same with the network in training mode, as that paper's code judges."""

    robust_accuracy: float | None = None
    """On validation images under PGD; only with adversarial training."""
    single_step_accuracy: float | None = None
    """The same under one step; only with training on single steps."""

    @property
    def rank(self) -> tuple[float, float, float]:
        """Higher is better: accuracy under attack if known, validation accuracy, lower validation loss."""
        return self.robust_accuracy or 0.0, self.validation_accuracy, -self.validation_loss

    @property
    def overfitted(self) -> bool:
        """Catastrophic overfitting (Wong et al. 2020): only the single step of the training is withstood."""
        single, robust = self.single_step_accuracy, self.robust_accuracy
        return single is not None and robust is not None and single > 0.2 and robust < single / 2

    def line(self, epochs: int) -> str:
        """A line for people, of a run of so many epochs."""
        robust = "" if self.robust_accuracy is None else f", robust {self.robust_accuracy:.2%}"
        warning = (
            f"; catastrophic overfitting: {self.single_step_accuracy:.2%} withstand one step, but PGD breaks "
            "them; a smaller epsilon or --adversarial pgd avoids it"
            if self.overfitted
            else ""
        )
        return (
            f"epoch {self.epoch}/{epochs}: loss {short_loss(self.train_loss)}, validation accuracy "
            f"{self.validation_accuracy:.2%}{robust}, {self.seconds:.1f} s{warning}"
        )
