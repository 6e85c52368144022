"""Plot evaluations to PNG files: curves over checkpoints, classes, precision and recall, nearest neighbours."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import pad

from gancli.evaluation.image_set import ImageSet
from gancli.evaluation.report import Report
from gancli.files.atomic import write_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Plot

INCHES = 3.2
NEIGHBOURS = 12
"""Generated images that are shown with their neighbours."""
CLUSTERS = 20
MAX_BARS = 100
MAX_LETTERS = 40
"""Letters of all class names that fit side by side."""
ANGLES = 201
"""Points of a precision-recall curve."""


@dataclass(frozen=True)
class PlottedImages:
    """Images whose neighbours and distribution are plotted."""

    generated: ImageSet
    real: ImageSet
    """As many held-out images."""
    baseline: ImageSet | None
    """As many other real images."""
    train: ImageSet | None


def report_plots(folder: Path, report: Report, shown: PlottedImages | None) -> None:
    """Write ``classes.png`` for at most 100 classes, and with images ``pr_curve.png`` and ``neighbours.png``."""
    if 0 < len(report.shares) <= MAX_BARS:
        classes(folder / "classes.png", report)
    if shown is not None:
        curve_of_precision(folder / "pr_curve.png", shown)
        if shown.train is not None and shown.generated.pixels is not None and shown.train.pixels is not None:
            neighbours(folder / "neighbours.png", shown.generated, shown.train)


def curve(path: Path, reports: Sequence[tuple[int, Report]]) -> None:
    """A panel for each metric over the steps, with error bars and the real images' value as a dashed line."""
    from matplotlib.ticker import EngFormatter, MaxNLocator

    figures = reports[-1][1].figures
    plot, panels = _panels(len(figures))
    steps = [step for step, _ in reports]
    margin = 0.05 * (steps[-1] - steps[0]) or 1
    for panel, last in zip(panels, figures, strict=True):
        these = [report.figure(last.metric) for _, report in reports]
        panel.errorbar(steps, [f.value for f in these], [f.error or 0 for f in these], marker="o", ms=3, capsize=2)
        if last.baseline is not None:
            panel.axhline(last.baseline, linestyle="--", color="grey")
        panel.set_title(f"{last.name} ({last.better})", fontsize=8)
        panel.set_xlim(steps[0] - margin, steps[-1] + margin)  # also if no figure is finite
        panel.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        panel.xaxis.set_major_formatter(EngFormatter(sep=""))
        panel.tick_params(labelsize=7)
    plot.supxlabel(f"step; dashed: real images; bars: standard error; N = {figures[0].n:,}", fontsize=8)
    _save(plot, path)


def classes(path: Path, report: Report) -> None:
    """Shares of the classes among generated and real images."""
    plot, (panel,) = _panels(1, width=max(INCHES * 1.5, 0.25 * len(report.shares)))
    places = torch.arange(len(report.shares)).double()
    ours, real = zip(*report.shares.values(), strict=True)
    panel.bar((places - 0.2).tolist(), ours, 0.4, label="generated")
    panel.bar((places + 0.2).tolist(), real, 0.4, label="real", color="grey")
    letters = len("".join(report.shares))
    panel.set_xticks(
        places.tolist(),
        list(report.shares),
        fontsize=7,
        rotation=90 if letters > MAX_LETTERS else 0,
    )
    panel.tick_params(labelsize=7)
    panel.set_xlabel("class, as the extractor sees it", fontsize=8)
    panel.set_ylabel("share of images", fontsize=8)
    panel.set_ylim(0, 1.2 * max(*ours, *real))
    panel.legend(fontsize=7, ncols=2, loc="upper center")
    _save(plot, path)


def precision_recall(generated: Tensor, real: Tensor, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Precision-recall curve over 20 clusters of features ``(N, d)`` and ``(M, d)``: 201 values of each.

    Sajjadi et al. 2018 (arXiv:1806.00035), algorithm 1, with the shares p of real and q of generated features in the
    clusters: ``alpha(lambda) = sum min(lambda p, q)`` (precision), ``beta(lambda) = sum min(p, q / lambda)`` (recall).

    Example:
        >>> apart = torch.zeros(50, 2), torch.ones(50, 2)
        >>> [curve.max().item() for curve in precision_recall(*apart)]
        [0.0, 0.0]
    """
    from sklearn.cluster import MiniBatchKMeans

    together = torch.cat([generated, real]).numpy()
    clusters = MiniBatchKMeans(min(CLUSTERS, len(together)), n_init=3, random_state=seed).fit_predict(together)
    labels = torch.from_numpy(clusters).long()
    q, p = (
        torch.bincount(part, minlength=CLUSTERS).double() / len(part)
        for part in (labels[: len(generated)], labels[len(generated) :])
    )
    lambda_ = torch.linspace(1e-3, torch.pi / 2 - 1e-3, ANGLES, dtype=torch.float64).tan()[:, None]
    precision, recall = torch.minimum(lambda_ * p, q).sum(1), torch.minimum(p, q / lambda_).sum(1)
    return precision, recall


def curve_of_precision(path: Path, shown: PlottedImages) -> None:
    """`precision_recall` of generated images, and of real ones."""
    plot, (panel,) = _panels(1)
    real = shown.real.features.values
    for images, label, style in ((shown.generated, "generated", "-"), (shown.baseline, "real", "--")):
        if images is not None:
            precision, recall = precision_recall(images.features.values, real)
            panel.plot(recall.tolist(), precision.tolist(), style, label=label, color=None if style == "-" else "grey")
    panel.set(xlim=(0, 1.02), ylim=(0, 1.02))
    panel.tick_params(labelsize=7)
    panel.set_xlabel("recall", fontsize=8)
    panel.set_ylabel("precision", fontsize=8)
    panel.set_title(f"precision and recall over {CLUSTERS} clusters, N = {len(real):,}", fontsize=8)
    panel.legend(fontsize=7)
    _save(plot, path)


def neighbours(path: Path, generated: ImageSet, train: ImageSet) -> None:
    """The generated images nearest to a training image, above their nearest ones by features and by pixels."""
    assert generated.pixels is not None and train.pixels is not None
    (apart, by_features), (_, by_pixels) = (generated.nearest_in(train, what) for what in ("features", "pixels"))
    chosen = apart[:, 0].argsort()[:NEIGHBOURS]
    rows = (
        ("generated images nearest to training images", generated.pixels[chosen]),
        ("their nearest training images by features", train.pixels[by_features[chosen, 0]]),
        ("and by pixels, whatever the brightness", train.pixels[by_pixels[chosen, 0]]),
    )
    plot, panels = _panels(3, columns=1, width=0.6 * len(chosen), height=0.95)
    for panel, (title, images) in zip(panels, rows, strict=True):
        strip = torch.cat(list(pad(images, (1, 1, 1, 1), value=128)), 2).permute(1, 2, 0).numpy()
        panel.imshow(strip.squeeze(2) if strip.shape[2] == 1 else strip, cmap="gray", vmin=0, vmax=255)
        panel.set_title(title, fontsize=8, loc="left")
        panel.axis("off")
    _save(plot, path)


def _panels(
    count: int, columns: int = 3, width: float = INCHES, height: float = INCHES * 0.8
) -> tuple["Plot", list["Axes"]]:
    from matplotlib.figure import Figure

    columns = min(columns, count)
    rows = -(-count // columns)
    plot = Figure((width * columns, height * rows), layout="constrained")
    panels = [plot.add_subplot(rows, columns, number + 1) for number in range(count)]
    return plot, panels


def _save(plot: "Plot", path: Path) -> None:
    write_atomically(path, lambda file: plot.savefig(file, format="png", dpi=130))
