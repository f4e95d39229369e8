"""One audit on many machines: every shard is a task of a Ray cluster."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from socket import gethostname

import numpy as np

from ..artifacts import Preprocessing, open_model
from ..artifacts.identity import answers_digest, files_of
from ..cluster import Cluster, Lost, go_home
from ..console import need
from ..errors import VivavoceError
from ..images import Fit, ImageSet, match, open_images
from .digests import image_digest
from .outcomes import Evaluation
from .plan import source_of
from .sharding import Found, Shard, attack, merge
from .target import Target

PER_SLOT = 4
"""Shards for every task that fits at once: a slow node, or one that is lost, then costs little."""


@dataclass(frozen=True)
class RayShards:
    """Attacks the shards of an audit on a Ray cluster; see `Settings.spread`.

    Every node must see the model, and the data if they are files, under the same paths.
    """

    model: str
    """As `open_model` takes it, like the next three."""
    preprocessing: Preprocessing | None = None
    device: str = "cpu"
    trust: bool = False
    data: str | None = None
    """As `Settings.data`."""
    address: str | None = None
    """See `cluster.Cluster`."""
    workers: int | None = None
    """Shards at a time; None: as many as fit."""

    def __post_init__(self) -> None:
        need("ray", "ray", "--engine ray")

    def __call__(
        self, whole: Shard, target: Target, images: ImageSet, progress: Callable[[int, str], None]
    ) -> Evaluation:
        """Attack the images of a whole audit.

        Raises:
            VivavoceError: the cluster cannot be reached or used, or a shard failed.
        """
        cluster = Cluster(self.address, gpus=int(self.device == "cuda"))
        try:
            if Path(self.model).exists():  # else it ships with the package
                for file in files_of(Path(self.model)):
                    cluster.check_sees(file.absolute())
            shards = whole.cut(PER_SLOT * min(cluster.slots, self.workers or cluster.slots))
            rows, digest = len(list(whole.protocol.grid())), answers_digest(target.model)
            calls = [(self, digest, shard, Path.cwd()) for shard in shards]
            parts: dict[int, Found] = {}
            for place, outcome in cluster.run(_examine, calls, self.workers):
                if isinstance(outcome, Lost):
                    raise VivavoceError(f"a shard of the audit failed: {outcome.reason}")
                _check_same_images(outcome.evaluation, shards[place], target, images)
                parts[place] = outcome
                for _ in range(rows):
                    progress(len(shards[place]), "on Ray")
        finally:
            cluster.close()
        return merge(whole, [parts[place] for place in range(len(shards))], target, images)


def _examine(how: RayShards, digest: str, shard: Shard, home: Path) -> Found:
    """Attack one shard in a process of a node, which is its alone."""
    from ..artifacts.runtime import use_threads

    go_home(home)
    use_threads(1)
    model = open_model(how.model, how.preprocessing, how.device, how.trust)
    if answers_digest(model) != digest:
        raise VivavoceError(
            f"node {gethostname()} of the Ray cluster has a different {model.path.name}, or different "
            "settings for it; copy the model and its settings file to every node"
        )
    images, _ = match(open_images(source_of(model, how.data)), model.manifest.classes, model.named)
    return attack(model, images, shard)


def _check_same_images(found: Evaluation, shard: Shard, target: Target, images: ImageSet) -> None:
    """Compare the labels a node found, and its first image, with those here."""
    labels = images.labels[shard.indices]
    first = images.pixels(shard.indices[:1], Fit.of(target.model.manifest.input))[0]
    if not np.array_equal(found.labels, labels) or found.digests[0] != image_digest(first, labels[0]):
        raise VivavoceError(
            f"a node of the Ray cluster has different images for {images.name}; "
            "copy the same data to every node"
        )
