"""``gancli train``."""

import shlex
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from gancli.cli import output
from gancli.cli.command import built_apart
from gancli.errors import UsageError

if TYPE_CHECKING:
    from gancli.config.train_command import BesideConfigFlags
    from gancli.runs.dry_run import DryRun
    from gancli.runs.result import TrainResult


def train(given: dict[str, Any]) -> None:
    """Train a GAN. Without flags: on the embedded digits, for a minute or two.

    [bold]gancli train --data mnist --epochs 20 --device cuda[/]
    """
    from gancli.config import TrainConfig
    from gancli.config.train_command import BesideConfigFlags
    from gancli.config.values import COMMAND_LINE, typed

    told, rest = built_apart(BesideConfigFlags, given)
    output.set_up_log(told.quiet)
    flags = {
        name: rest[name] if value is None else value for name, value in typed(TrainConfig, rest, COMMAND_LINE).items()
    }
    if told.dry_run:
        _print_plan(told, flags)
        return
    from gancli.runs.train import train

    view = "none" if told.quiet else told.progress
    _print(train(told.config, resume=told.resume, progress=view, settings=told.settings, **flags), told.json)


def _print(trained: "TrainResult", as_json: bool) -> None:
    from gancli.training.views import short_name, shown_values

    result = asdict(trained) | {"seconds": round(trained.seconds, 1)}
    if as_json:
        output.print_result(result, as_json)
        return
    metrics, best, commands, verdict = (result.pop(name) for name in ("metrics", "best", "next_commands", "verdict"))
    for name in ("failures", "alarms", "best_generator"):  # the verdict and best lines include these
        del result[name]
    if best:
        best = f"{short_name(best['metric'])} {best['value']:.4g} at step {best['step']}: {trained.best_generator}"
    shown = {name: f"{value:.4g}" for name, value in shown_values(metrics).items()}
    curves = trained.run / "tensorboard"
    curves_shown_by = shlex.join(("tensorboard", "--logdir", str(curves))) if curves.is_dir() else None
    end = {"verdict": verdict, "best": best or None} | dict(zip(("next", "then"), commands, strict=True))
    output.print_result(result | shown | end | {"curves": curves_shown_by}, as_json)


def _print_plan(told: "BesideConfigFlags", flags: dict[str, Any]) -> None:
    from gancli.runs.dry_run import dry_run

    if told.resume is not None:
        raise UsageError("--dry-run plans a new run; remove --resume.")
    plan = dry_run(told.config, settings=told.settings, **flags)
    output.print_result(asdict(plan) if told.json else _in_words(plan), told.json)


def _in_words(plan: "DryRun") -> dict[str, Any]:
    config = plan.config
    names = ("data", "recipe", "hyperparameters", "device", "precision", "threads", "seed")
    return {
        **{name: getattr(config, name) for name in names},
        "images": f"{plan.images} to train on, {plan.heldout} held out",
        "batch_size": config.batch_size,
        "accumulate": config.accumulate if config.accumulate > 1 else None,
        "epochs": round(plan.epochs, 2),
        "steps": plan.steps,
        "parameters": f"G {plan.generator_parameters:,}, D {plan.discriminator_parameters:,}",
        "memory": f"{plan.memory_bytes / 2**20:,.0f} MiB at the peak of one step",
        "time": f"about {timedelta(seconds=max(1, round(plan.seconds)))}",
        "out": f"{config.out} (nothing was written)",
    }
