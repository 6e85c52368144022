"""Which judge a data set needs, and the evaluation during training, which decides on the best checkpoint."""

from dataclasses import dataclass
from pathlib import Path

import platformdirs
import torch

from gancli import drawing
from gancli.data import DataSet
from gancli.evaluation import POINT_METRICS, Evaluator, MixtureEvaluator, extractor_for
from gancli.preparation import Prepared
from gancli.training.state import TrainState

MOST_IMAGES = 2000
QUICK_METRICS = ("fd", "coverage")
"""Of images; the first one chooses the best checkpoint, and is better the lower."""
POINTS = 2500
"""Drawn to count modes, as in the papers."""


def feature_cache() -> Path:
    """Folder of trained feature extractors."""
    return platformdirs.user_cache_path("gancli") / "features"


def judge_for(
    dataset: DataSet, device: torch.device, seed: int, most: int | None = None
) -> tuple[Evaluator | MixtureEvaluator, int]:
    """What measures generated images or points of such data, and how many it wants, ``most`` at most."""
    if dataset.mixture:
        mixture = dataset.mixture
        points = dataset.heldout.images.flatten(1) * mixture.scale
        centres = torch.tensor(mixture.centres)
        judge = MixtureEvaluator(dataset.name, centres, mixture.sigma, points, dataset.fingerprint, seed)
        return judge, min(most or POINTS, len(points))
    extractor = extractor_for(
        dataset.train.images, dataset.train.labels, dataset.heldout.images, dataset.heldout.labels,
        dataset.fingerprint, device, feature_cache(),
    )  # fmt: skip
    count = min(most or len(dataset.heldout), len(dataset.heldout))
    train, heldout = dataset.train.images, dataset.heldout.images
    return Evaluator(extractor, train, heldout, dataset.fingerprint, seed, dataset.classes), count


@dataclass
class QuickEvaluation:
    """A few figures of the averaged generator; the lowest value of the first makes the best checkpoint."""

    prepared: Prepared

    def __post_init__(self) -> None:
        dataset = self.prepared.dataset
        self.metrics = POINT_METRICS if dataset.mixture else QUICK_METRICS
        most = None if dataset.mixture else MOST_IMAGES
        self.judge, self.count = judge_for(dataset, self.prepared.device, self.prepared.config.seed, most)

    def __call__(self, state: TrainState) -> dict[str, float]:
        """Figures under ``eval/<name>``; updates ``state.best``."""
        noise, scale = self.prepared.step.noise, self.prepared.origin.spec.point_scale
        drawn = drawing.draw_first(state.ema, noise.latent_dim, noise.classes, noise.seed, self.count, scale)
        report = self.judge.evaluate(drawn, self.metrics)
        first = report.figure(self.metrics[0])
        if not state.best or first.value < state.best["value"]:
            state.best = {"metric": first.name, "value": first.value, "step": state.step}
        return {f"eval/{figure.name}": figure.value for figure in report.figures}
