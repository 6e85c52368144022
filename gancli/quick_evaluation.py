"""The evaluation that runs while training goes on, and decides which checkpoint is the best."""

from dataclasses import dataclass
from pathlib import Path

import platformdirs

from gancli import drawing
from gancli.evaluation import Evaluator, extractor_for
from gancli.preparation import Prepared
from gancli.training.state import TrainState

MOST_IMAGES = 2000
METRICS = ("fd", "coverage")


def feature_cache() -> Path:
    """Folder of trained feature extractors."""
    return platformdirs.user_cache_path("gancli") / "features"


@dataclass
class QuickEvaluation:
    """Frechet distance and coverage of the averaged generator; the lowest distance makes the best checkpoint."""

    prepared: Prepared

    def __post_init__(self) -> None:
        dataset, device = self.prepared.dataset, self.prepared.device
        extractor = extractor_for(
            dataset.train.images, dataset.train.labels, dataset.heldout.images, dataset.heldout.labels,
            dataset.fingerprint, device, feature_cache(),
        )  # fmt: skip
        heldout = dataset.heldout.images[:MOST_IMAGES]
        seed = self.prepared.config.seed
        self.evaluator = Evaluator(extractor, dataset.train.images, heldout, dataset.fingerprint, seed)

    def __call__(self, state: TrainState) -> dict[str, float]:
        """Figures under ``eval/<name>``; updates ``state.best``."""
        noise = self.prepared.step.noise
        count = min(MOST_IMAGES, len(self.prepared.dataset.heldout))
        drawn = drawing.draw_first(state.ema, noise.latent_dim, noise.classes, noise.seed, count)
        report = self.evaluator.evaluate(drawn, METRICS)
        first = report.figure(METRICS[0])
        if not state.best or first.value < state.best["value"]:
            state.best = {"metric": first.name, "value": first.value, "step": state.step}
        return {f"eval/{figure.name}": figure.value for figure in report.figures}
