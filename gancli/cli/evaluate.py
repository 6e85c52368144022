"""``gancli eval``."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Option

from gancli.cli import output
from gancli.errors import LimitCrossed

if TYPE_CHECKING:
    from gancli.evaluation import Report


def evaluate(
    ckpt: Annotated[Path, Option(metavar="FILE", help="A generator file, gen.pth.")],
    data: Annotated[
        str | None,
        Option(
            metavar="NAME|DIR|ZIP",
            help="Data set to compare with, such as where its pictures are now. "
            "[dim]\\[default: the one it was trained on][/]",
        ),
    ] = None,
    data_root: Annotated[
        str | None,
        Option(
            metavar="DIR",
            help="Folder that holds data sets. [dim]\\[default: $GANCLI_DATA_ROOT, else the user's cache][/]",
        ),
    ] = None,
    n: Annotated[
        int | None,
        Option("--n", "-n", help="Images on each side. [dim]\\[default: as many as are held out][/]"),
    ] = None,
    seed: Annotated[int, Option(help="Which images are drawn.")] = 0,
    device: Annotated[str, Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    cache: Annotated[bool, Option("--cache/--no-cache", help="Keep decoded pictures, as for gancli train.")] = True,
    fail_if: Annotated[
        list[str] | None,
        Option(metavar="'coverage<0.5'", help="Leave with exit code 4 if this holds; repeatable."),
    ] = None,
    as_json: Annotated[bool, Option("--json", help="Print the report as one JSON object.")] = False,
    quiet: Annotated[bool, Option("--quiet", "-q", help="No progress and no notes.")] = False,
) -> None:
    """Measure a generator against images that training has not seen; needs no network.

    [bold]gancli eval --ckpt runs/0001-digits-r3gan/gen.pth --fail-if 'coverage<0.5'[/]
    """
    output.set_up_log(quiet)
    from gancli import api
    from gancli.evaluation import parse_limit
    from gancli.progress import decoding_progress

    limits = [parse_limit(text) for text in fail_if or []]
    with output.bar("drawing", 1, quiet) as advance:
        report = api.evaluate(
            ckpt, data=data, data_root=data_root, n=n, seed=seed, device=device,
            on_batch=lambda done, total: advance(done / total),
            on_progress=decoding_progress("none" if quiet else "auto"), cache=cache,
        )  # fmt: skip
    if as_json:
        print(json.dumps(report.as_dict()))
    else:
        _print_table(report)
    crossed = [limit.text for limit in limits if limit.crossed(report)]
    if crossed:
        raise LimitCrossed(f"{', '.join(crossed)} holds.")


def _print_table(report: "Report") -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE, caption_justify="left", title_justify="left")
    for column, side in (
        ("metric", "left"),
        ("generated", "right"),
        ("real", "right"),
        ("N", "right"),
        ("better", "left"),
    ):
        table.add_column(column, justify=side)  # type: ignore[arg-type]
    for figure in report.figures:
        spread = "" if figure.spread is None else f" ± {figure.spread:.2g}"
        better = "higher" if figure.higher_is_better else "lower"
        table.add_row(figure.name, f"{figure.value:.4g}{spread}", f"{figure.baseline:.4g}", f"{figure.n:,}", better)
    console = Console()
    console.print(table)
    print("real: as many training images in place of the generated ones, against the same held-out images.")
    if report.accuracy is not None:
        print(f"features: {report.extractor}, whose accuracy on the held-out images is {100 * report.accuracy:.1f} %.")
    if report.per_class:
        shares = ", ".join(f"{name} {100 * share:.0f}" for name, share in report.per_class.items())
        print(f"images taken for the class that was asked for, in %: {shares}")
    for warning in report.warnings:
        print(f"note: {warning}")
