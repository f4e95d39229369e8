"""The figures of one epoch."""

from __future__ import annotations

from dataclasses import dataclass


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

    @property
    def rank(self) -> tuple[float, float]:
        """Higher is better: validation accuracy, ties by lower validation loss."""
        return self.validation_accuracy, -self.validation_loss

    def line(self, epochs: int) -> str:
        """A line for people, of a run of so many epochs."""
        return (
            f"epoch {self.epoch}/{epochs}: loss {self.train_loss:.3f}, validation accuracy "
            f"{self.validation_accuracy:.2%}, {self.seconds:.1f} s"
        )
