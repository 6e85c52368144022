"""``gancli eval``."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from gancli.cli import output, report_output
from gancli.errors import LimitCrossed, UsageError

if TYPE_CHECKING:
    from gancli.config.evaluate_command import EvaluateFlags
    from gancli.evaluation import Report


def evaluate(told: "EvaluateFlags") -> None:
    """Measure a generator, or any pictures, against images that training has not seen; needs no network.

    [bold]gancli eval latest --fail-if 'coverage<0.5'[/]

    [bold]gancli eval --fake pictures/ --real mnist[/]
    """
    output.set_up_log(told.quiet)
    _check(told)
    from gancli.artifacts.lookup import run_called
    from gancli.evaluation import parse_limit
    from gancli.evaluation.sources import folders
    from gancli.evaluation.sources.request import require_measured

    limits = [parse_limit(each) for text in told.fail_if for each in text.split(",")]
    require_measured(limits, told.metrics)
    run = run_called(told.run, "--run").path if told.run else None
    folder = Path(told.plots) if told.plots else folders.next_folder(run) if run else None
    if folder is not None:
        folders.require_free(folder)
    reports = _measure(told, run, folder)
    _print(reports, told.json, told.csv)
    last = reports[-1][1]
    crossed = [f"{limit.metric} is {last.figure(limit.metric).value:.4g}" for limit in limits if limit.crossed(last)]
    if crossed:
        failing = " and ".join(limit.text for limit in limits if limit.crossed(last))
        raise LimitCrossed(f"{', '.join(crossed)}: --fail-if {failing}.")


def _check(told: "EvaluateFlags") -> None:
    if sum(each is not None for each in (told.ckpt, told.fake, told.run)) != 1:
        raise UsageError(
            "give one of a generator (RUN, FILE, latest or best, also as --ckpt), --fake DIR with --real DIR, or "
            "--run runs/0003."
        )
    if told.train is not None and told.fake is None:
        raise UsageError("--train goes with --fake; a generator file knows what it was trained on.")
    if told.json and told.csv:
        raise UsageError("--json and --csv exclude each other.")


def _measure(told: "EvaluateFlags", run: Path | None, folder: Path | None) -> "list[tuple[int | None, Report]]":
    from gancli.config.settings import part_of
    from gancli.evaluation.sources import folders, measure
    from gancli.evaluation.sources.request import Request
    from gancli.training.progress import decoding_progress

    quiet = told.quiet
    with decoding_progress("none" if quiet else "auto") as on_progress, output.bar("drawing", 1, quiet) as advance:
        request = part_of(told, Request, on_progress=on_progress, on_batch=lambda done, total: advance(done / total))
        if run is None:
            return [(None, measure.evaluate(request))]
        reports = list(measure.evaluate_run(run, replace(request, plots=None)))
    assert folder is not None
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
        print(reports[0][1])
