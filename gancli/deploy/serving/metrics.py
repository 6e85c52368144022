"""Counters of the service, in the text form of Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
IMAGES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    """Counters of one service."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self.requests = Counter("gancli_requests", "Answered requests.", ("path", "status"), registry=registry)
        self.seconds = Histogram(
            "gancli_request_seconds", "Seconds per request.", ("path",), registry=registry, buckets=SECONDS
        )
        self.refused = Counter(
            "gancli_refused", "Requests refused because too much was asked.", ("reason",), registry=registry
        )
        self.images = Counter("gancli_images", "Images drawn.", ("model",), registry=registry)
        self.images_per_pass = Histogram(
            "gancli_images_per_pass", "Images in a forward pass.", registry=registry, buckets=IMAGES
        )
        self.in_work = Gauge("gancli_requests_in_work", "Drawings that wait or are being answered.", registry=registry)

    def as_text(self) -> bytes:
        """The metrics, as ``GET /metrics`` shows them."""
        return generate_latest(self.registry)
