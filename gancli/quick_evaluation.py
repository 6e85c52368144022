"""The evaluation during training, which decides on the best checkpoint."""

from dataclasses import dataclass

from gancli import drawing
from gancli.evaluation import POINT_METRICS
from gancli.judging import judge_for
from gancli.preparation import Prepared
from gancli.training.state import TrainState

MOST_IMAGES = 2000
QUICK_METRICS = ("fd", "coverage")
"""Of images; the first one chooses the best checkpoint, and is better the lower."""


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
