"""The curves of ``gancli doctor``: each on a scale of its own, with the thresholds of the alarms, nothing hidden."""

from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg

from gancli.health.watch import watched
from gancli.runs.doctor import Checkup, findings_of
from gancli.runs.health_plot import figure_of

MEASURED = {
    "health/separation": 0.8, "health/memorised": 0.05, "health/g_gradient": 2.0, "health/diversity": 0.1,
    "health/duplicates": 0.0, "health/contrast": 1.0, "health/d_left": 0.7, "health/logit_spread": 0.5,
    "health/heldout_separation": 0.7, "health/loss_scale": 64.0,
}  # fmt: skip
EVALUATED = {"eval/fd_lenet_6ec3": 40.0, "eval/coverage_lenet_6ec3": 0.5, "eval/kid_lenet_6ec3": 0.01}


def figure() -> Any:
    """A collapsed run: an alarm at step 900, evaluations with values of 0.01 to 40."""
    losses = {"d/adv": 0.4, "g/adv": 1.2, "d/logit_real": 3.0, "d/logit_fake": -3.0}
    lines = [{"step": 100 * i} | losses | MEASURED | EVALUATED | {"eval/seconds": 99.0} for i in range(1, 13)]
    watch = watched(lines)
    return figure_of(Checkup(1200, lines, watch.verdict, findings_of(watch.spells)))


def dashed(axes: Any) -> list[float]:
    return sorted(line.get_ydata()[0] for line in axes.get_lines() if line.get_linestyle() == "--")


def test_curves_of_one_panel_share_a_scale_and_every_threshold_is_drawn() -> None:
    panels = {axes.get_title(): axes for axes in figure().axes}
    assert set(EVALUATED) < set(panels), "one panel for each figure of an evaluation"
    assert not any("seconds" in title for title in panels)
    thresholds = {title: dashed(axes) for title, axes in panels.items() if dashed(axes)}
    assert thresholds == {
        "pairs that D ranks correctly": [0.25, 0.99], "D's loss, 1 = guessing": [0.05],
        "held-out pairs that D ranks correctly": [0.55], "loss scale of half precision": [1.0],
        "diversity, real images = 1": [0.4], "samples with a twin": [0.5], "contrast, real images = 1": [0.05],
        "G's gradient": [0.02], "spread of D's logits": [0.005],
    }  # fmt: skip
    for axes in panels.values():
        alarms = [line for line in axes.get_lines() if line.get_color() == "red"]
        assert [line.get_xdata()[0] for line in alarms] == [900]


def test_no_legend_lies_on_curves() -> None:
    drawn = figure()
    FigureCanvasAgg(drawn).draw()
    legends = [(axes, axes.get_legend()) for axes in drawn.axes if axes.get_legend()]
    assert len(legends) == 2, "losses and logits have two curves"
    for axes, legend in legends:
        assert not legend.get_window_extent().overlaps(axes.get_window_extent())
