"""The evaluation during training, which chooses the best checkpoint."""

import math
import time
from dataclasses import dataclass, replace

from gancli.evaluation import Figure, merit
from gancli.evaluation.sources.choose_evaluator import AUTO, best_metric_of, evaluator_for, unseen
from gancli.runs.prepare import Prepared
from gancli.sampling import drawing
from gancli.steps.state import Best, TrainState
from gancli.training.loop import Evaluation

MAX_IMAGES = 1000
"""Images per evaluation: enough to compare checkpoints, and KID needs only one subset."""


@dataclass
class QuickEvaluation:
    """The fast metrics of the averaged generator; one of them chooses the best checkpoint."""

    prepared: Prepared

    def __post_init__(self) -> None:
        resolved = self.prepared.resolved
        dataset, config = resolved.dataset, resolved.config
        self.best_metric = best_metric_of(config.best_metric, dataset)
        most = None if dataset.mixture else MAX_IMAGES
        choice = unseen(AUTO, resolved.recipe.features, dataset)
        self.evaluator, self.count = evaluator_for(dataset, resolved.device, config.seed, most, choice)

    def __call__(self, state: TrainState) -> Evaluation:
        """Measure the averaged generator; changes nothing."""
        began = time.perf_counter()
        setup, origin = self.prepared.step.setup, self.prepared.origin
        noise, choices = setup.noise, origin.choices(setup.recipe)
        drawn = drawing.draw_first(
            state.ema, noise.latent_dim, choices, noise.seed, self.count, origin.spec.point_scale
        )
        report = self.evaluator.evaluate(drawn, "fast")
        first = report.figure(self.best_metric)
        best = Best(first.name, first.value, state.step) if is_better(first, state.best) else state.best
        values = {f"eval/{figure.name}": figure.value for figure in report.figures}
        return Evaluation(values | {"eval/seconds": round(time.perf_counter() - began, 3)}, best)


def is_better(figure: Figure, best: Best | None) -> bool:
    """True if the figure beats the best so far, or is of another metric; false for NaN."""
    if math.isnan(figure.value):
        return False
    return best is None or best.metric != figure.name or merit(figure) > merit(replace(figure, value=best.value))
