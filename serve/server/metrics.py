"""What the server counts, for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """One server's counters, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        own = {"namespace": "vivavoce", "registry": self.registry}
        self.requests = Counter("requests", "Requests by route and status.", ["route", "status"], **own)
        self.seconds = Histogram(
            "request_seconds", "From a request's headers to the end of its answer.", ["route"],
            buckets=SECONDS, **own,
        )  # fmt: skip
        self.accepted = Counter("accepted", "Images that were accepted for an answer.", **own)
        self.answers = Counter("answers", "Answers by whether the model was sure.", ["sure"], **own)
        self.waiting = Gauge("waiting", "Accepted requests that are not answered yet.", **own)
        self.batch = Histogram(
            "batch_images", "Images in each run of the model.", buckets=(1, 2, 4, 8, 16, 32), **own
        )
        self.model_seconds = Histogram("model_seconds", "Each run of the model.", buckets=SECONDS, **own)
        self.dropped = Counter(
            "dropped_connections", "Connections that were closed for keeping the server waiting.",
            ["reason"], **own,
        )  # fmt: skip
