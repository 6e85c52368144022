"""``gancli eval``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Option

from gancli.cli import output, report_output
from gancli.errors import LimitCrossed, UsageError

if TYPE_CHECKING:
    from gancli.evaluation import Report


def evaluate(
    ckpt: Annotated[Path | None, Option(metavar="FILE", help="A generator file, gen.pth.")] = None,
    fake: Annotated[
        str | None,
        Option(metavar="DIR|ZIP|FILE.npz", help="Generated pictures, features or mu and sigma, from anywhere."),
    ] = None,
    run: Annotated[Path | None, Option(metavar="DIR", help="A run, of which each kept checkpoint is measured.")] = None,
    data: Annotated[
        str | None,
        Option(
            "--data",
            "--real",
            metavar="NAME|DIR|ZIP|FILE.npz",
            help="Real images to compare with: a named set's held-out ones, or half of the pictures of a folder. "
            "[dim]\\[default: what the generator was trained on][/]",
        ),
    ] = None,
    train: Annotated[
        str | None,
        Option(
            metavar="NAME|DIR|ZIP|FILE.npz",
            help="With --fake: what the generator was trained on, if it is not a split of --real; all of --real is "
            "compared with then.",
        ),
    ] = None,
    data_root: Annotated[
        str | None,
        Option(
            metavar="DIR",
            help="Folder that holds data sets. [dim]\\[default: $GANCLI_DATA_ROOT, else the user's cache][/]",
        ),
    ] = None,
    metrics: Annotated[
        str,
        Option(metavar="A,B,...", help="Names of metrics, or the groups fast, standard and full."),
    ] = "standard",
    n: Annotated[
        int | None,
        Option("--n", "-n", help="Images on each side. [dim]\\[default: as many as are held out][/]"),
    ] = None,
    sets: Annotated[int, Option(help="Generated sets of N images each, for the error bars.")] = 3,
    seed: Annotated[int, Option(help="Which images are drawn.")] = 0,
    extractor: Annotated[
        str,
        Option(
            metavar="NAME",
            help="auto (a classifier of the data, or lite0 for pictures without labels), lite0, random, pixels; with "
            "--weights inception, clip, vgg16 or dinov2.",
        ),
    ] = "auto",
    weights: Annotated[Path | None, Option(metavar="FILE", help="Weights of that extractor: a state dict.")] = None,
    device: Annotated[str, Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    cache: Annotated[bool, Option("--cache/--no-cache", help="Keep decoded pictures, as for gancli train.")] = True,
    labels: Annotated[
        str,
        Option(
            metavar="auto|none|folder",
            help="Classes of the real pictures: those of the folders they are in (folder), or none. "
            "[dim]\\[default: a dataset.json's; with --ckpt, as in training][/]",
        ),
    ] = "auto",
    bad_images: Annotated[
        str, Option(metavar="error|skip", help="What happens to pictures that cannot be read.")
    ] = "error",
    fail_if: Annotated[
        list[str] | None,
        Option(
            metavar="'coverage<0.5'",
            help="Leave with exit code 4 if this holds (with --run: of the last checkpoint); repeatable, or "
            "several with commas.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        Option(
            metavar="DIR",
            help="New folder for the report and plots. [dim]\\[default: none; with --run, evaluation-0001 in it][/]",
        ),
    ] = None,
    save_features: Annotated[Path | None, Option(metavar="DIR", help="New folder for features, .npz.")] = None,
    as_json: Annotated[bool, Option("--json", help="Print the report as one JSON object.")] = False,
    as_csv: Annotated[bool, Option("--csv", help="Print a line for each figure.")] = False,
    quiet: Annotated[bool, Option("--quiet", "-q", help="No progress and no notes.")] = False,
) -> None:
    """Measure a generator, or any pictures, against images that training has not seen; needs no network.

    [bold]gancli eval --ckpt runs/0001-digits-r3gan/gen.pth --fail-if 'coverage<0.5'[/]

    [bold]gancli eval --fake pictures/ --real mnist[/]
    """
    output.set_up_log(quiet)
    _check(ckpt, fake, run, train, as_json, as_csv)
    from gancli.evaluation import parse_limit
    from gancli.evaluation.sources import folders
    from gancli.evaluation.sources.request import require_measured

    limits = [parse_limit(each) for text in fail_if or [] for each in text.split(",")]
    require_measured(limits, metrics)
    folder = out or (folders.next_folder(run) if run and run.is_dir() else None)
    if folder is not None:
        folders.require_free(folder)
    options: dict[str, Any] = {
        "data": data, "train": train, "data_root": data_root, "metrics": metrics, "n": n, "sets": sets, "seed": seed,
        "device": device, "extractor": extractor, "weights": weights, "save_features": save_features, "cache": cache,
        "labels": output.check_choice("--labels", labels, ("auto", "none", "folder")),
        "bad_images": output.check_choice("--bad-images", bad_images, ("error", "skip")),
    }  # fmt: skip
    reports = _measure(ckpt, fake, run, folder, quiet, options)
    _print(reports, as_json, as_csv)
    crossed = [limit.text for limit in limits if limit.crossed(reports[-1][1])]
    if crossed:
        raise LimitCrossed(f"{', '.join(crossed)} {'hold' if len(crossed) > 1 else 'holds'}.")


def _check(
    ckpt: Path | None, fake: str | None, run: Path | None, train: str | None, as_json: bool, as_csv: bool
) -> None:
    if sum(each is not None for each in (ckpt, fake, run)) != 1:
        raise UsageError("give one of --ckpt gen.pth, --fake DIR with --real DIR, or --run runs/0003.")
    if train is not None and fake is None:
        raise UsageError("--train goes with --fake; a generator file knows what it was trained on.")
    if as_json and as_csv:
        raise UsageError("--json and --csv exclude each other.")


def _measure(
    ckpt: Path | None, fake: str | None, run: Path | None, folder: Path | None, quiet: bool, options: dict[str, Any]
) -> "list[tuple[int | None, Report]]":
    from gancli import api
    from gancli.evaluation.sources import folders
    from gancli.training.progress import decoding_progress

    with decoding_progress("none" if quiet else "auto") as on_progress, output.bar("drawing", 1, quiet) as advance:
        options |= {"on_progress": on_progress, "on_batch": lambda done, total: advance(done / total)}
        if run is None:
            report = api.evaluate(ckpt, fake=fake, plots=folder, **options)
            return [(None, report)]
        reports = api.evaluate_run(run, **options)
    if folder is not None:
        folders.write_curve(folder, reports)
    return [*reports]


def _print(reports: "list[tuple[int | None, Report]]", as_json: bool, as_csv: bool) -> None:
    steps = [(step, report) for step, report in reports if step is not None]
    if as_csv:
        report_output.print_csv(reports)
    elif as_json:
        report_output.print_json(steps or reports[0][1])
    elif steps:
        report_output.print_curve(steps)
    else:
        report_output.print_report(reports[0][1])
