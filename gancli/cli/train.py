"""``gancli train``."""

from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gancli.cli import output
from gancli.cli.output import flag

if TYPE_CHECKING:
    from gancli.runs.dry_run import DryRun

DATA, NETWORK, LENGTH, MACHINE, FILES, SHOWN = (
    "Data", "GAN", "Length", "Machine", "Files of the run", "What is shown"
)  # fmt: skip


def train(
    context: typer.Context,
    data: Annotated[
        str | None,
        flag(
            DATA,
            "NAME|DIR|ZIP",
            "A folder or zip file of pictures, or digits (embedded), mnist, fashion-mnist, kmnist, cifar10, "
            "cifar100, stacked-mnist, ring, grid.",
            "digits",
        ),
    ] = None,
    data_root: Annotated[
        str | None,
        flag(
            DATA,
            "DIR",
            "Folder where data sets are found or downloaded to.",
            "$GANCLI_DATA_ROOT, else the user's cache",
        ),
    ] = None,
    image_size: Annotated[
        str | None, flag(DATA, "N|HxW", "Resize images to 64 or 64x96 (height first).", "as they are")
    ] = None,
    labels: Annotated[
        str | None,
        flag(DATA, "auto|none|folder", "Classes of pictures: a folder for each, or a dataset.json (auto).", "auto"),
    ] = None,
    color: Annotated[
        str | None, flag(DATA, "auto|rgb|grey|rgba", "Channels of pictures.", "auto, grey if all are")
    ] = None,
    alpha: Annotated[
        str | None, flag(DATA, "white|black|keep", "What shines through transparent pixels.", "white")
    ] = None,
    fit: Annotated[
        str | None, flag(DATA, "crop|pad|stretch", "How pictures get one shape.", "crop, the middle")
    ] = None,
    small_images: Annotated[
        str | None, flag(DATA, "upscale|skip", "What happens to pictures that are smaller.", "upscale")
    ] = None,
    bad_images: Annotated[
        str | None, flag(DATA, "error|skip", "What happens to files that cannot be read.", "error")
    ] = None,
    holdout: Annotated[
        float | None, flag(DATA, "SHARE", "Share of the pictures that training never sees, by content.", "0.1")
    ] = None,
    cache: Annotated[
        bool | None,
        flag(
            DATA,
            None,
            "Keep decoded pictures in the user's cache, or decode them whenever needed.",
            "keep",
            "--cache/--no-cache",
        ),
    ] = None,
    mirror: Annotated[bool | None, flag(DATA, None, "Flip half of the images.", "", "--mirror/--no-mirror")] = None,
    recipe: Annotated[
        str | None, flag(NETWORK, None, "Which GAN; `gancli recipes` lists them.", "the best for such data")
    ] = None,
    settings: Annotated[
        list[str] | None,
        flag(
            NETWORK,
            "KEY=VALUE",
            "Change a hyperparameter of the recipe (or any flag), e.g. d_lr=5e-5; repeatable.",
            "",
            "--set",
        ),
    ] = None,
    config: Annotated[
        str | None, flag(NETWORK, "FILE", "TOML file of flags and hyperparameters; flags and --set win over it.")
    ] = None,
    init_from: Annotated[
        str | None,
        flag(NETWORK, "PATH", "Start from the weights of a gen.pth, a checkpoint or a run, with new optimizers."),
    ] = None,
    augment: Annotated[
        str | None,
        flag(NETWORK, "auto|none|diffaug|ada", "Differentiable augmentation of what D sees, for few images.", "auto"),
    ] = None,
    top_k: Annotated[
        float | None,
        flag(NETWORK, "SHARE", "Let G learn from the most real of its fakes; this share is left at the end.", "1"),
    ] = None,
    freeze_d: Annotated[
        int | None, flag(NETWORK, "LAYERS", "With --init-from: keep the lowest layers of D as they are.", "0")
    ] = None,
    epochs: Annotated[float | None, flag(LENGTH, None, "Passes over the training images.", "the recipe's")] = None,
    steps: Annotated[int | None, flag(LENGTH, None, "Generator updates, instead of --epochs.")] = None,
    batch_size: Annotated[
        str | None,
        flag(
            LENGTH,
            "N|auto",
            "Images a step sees, over all processes; auto: the recipe's, if a step of it fits into memory, else "
            "in parts, or less.",
            "the recipe's",
        ),
    ] = None,
    accumulate: Annotated[
        int | None, flag(LENGTH, "PARTS", "Work through a batch in parts, to save memory; the result is the same.", "1")
    ] = None,
    seed: Annotated[int | None, flag(LENGTH, None, "The same seed repeats the run exactly.", "0")] = None,
    device: Annotated[str | None, flag(MACHINE, None, "auto, cpu, cuda, cuda:N or mps.", "auto")] = None,
    precision: Annotated[
        str | None, flag(MACHINE, None, "fp32, bf16 (faster on new hardware) or fp16 (older GPUs).", "fp32")
    ] = None,
    threads: Annotated[int | None, flag(MACHINE, None, "CPU threads.", "all cores, one for small images")] = None,
    compile: Annotated[
        str | None, flag(MACHINE, None, "Compile the step: auto (tried in long runs), on or off.", "auto")
    ] = None,
    deterministic: Annotated[
        bool | None,
        flag(
            MACHINE,
            None,
            "Refuse operations that do not repeat exactly (CUDA).",
            "",
            "--deterministic/--no-deterministic",
        ),
    ] = None,
    out: Annotated[
        str | None, flag(FILES, "DIR", "Folder that holds runs; this one gets the next number in it.", "runs")
    ] = None,
    name: Annotated[str | None, flag(FILES, None, "Name of the run.", "data-recipe")] = None,
    resume: Annotated[
        str | None,
        flag(
            FILES,
            "PATH|latest",
            "Go on exactly where a run stopped: 'latest' under --out, a run's folder, or a checkpoint.",
        ),
    ] = None,
    save_every: Annotated[
        int | None, flag(FILES, "STEPS", "Steps between checkpoints.", "20 over the run, 500 apart at least")
    ] = None,
    sample_every: Annotated[
        int | None, flag(FILES, "STEPS", "Steps between sample grids; 0: at the end.", "20 over the run")
    ] = None,
    eval_every: Annotated[
        int | None,
        flag(
            FILES,
            "STEPS",
            "Steps between quick evaluations, which choose the best checkpoint; 0: none.",
            "20 over the run, none in a short one",
        ),
    ] = None,
    best_metric: Annotated[
        str | None,
        flag(
            FILES,
            "NAME",
            "Which of their figures chooses: fd, kid, precision, recall, density, coverage, modes, reverse_kl, "
            "class_kl; of points reverse_kl, modes, high_quality.",
            "the first",
        ),
    ] = None,
    log_every: Annotated[int | None, flag(FILES, "STEPS", "Steps that a line of metrics averages over.", "50")] = None,
    watch_every: Annotated[
        int | None, flag(FILES, "STEPS", "Steps between looks at the GAN's health; 0: none.", "100")
    ] = None,
    on_failure: Annotated[
        str | None,
        flag(
            FILES,
            "warn|stop|rollback",
            "What to do when the GAN fails: tell, end with exit code 3, or go back to a healthy checkpoint and "
            "try with other draws and lower rates.",
            "warn",
        ),
    ] = None,
    keep: Annotated[int | None, flag(FILES, None, "Checkpoints to keep, beside the best.", "3")] = None,
    dry_run: Annotated[
        bool, flag(SHOWN, None, "Check everything, run a few steps, print the plan; write nothing.", "", "--dry-run")
    ] = False,
    progress: Annotated[str, flag(SHOWN, "auto|rich|tqdm|plain|none", "How progress is shown, on stderr.")] = "auto",
    as_json: Annotated[bool, flag(SHOWN, None, "Print the result as one JSON object.", "", "--json")] = False,
    quiet: Annotated[
        bool, flag(SHOWN, None, "No progress and no notes; warnings and the result stay.", "", "--quiet", "-q")
    ] = False,
) -> None:
    """Train a GAN. Without flags: on the embedded digits, for a minute or two.

    [bold]gancli train --data mnist --epochs 20 --device cuda[/]
    """
    view = output.check_choice("--progress", progress, ("auto", "rich", "tqdm", "plain", "none"))
    output.set_up_log(quiet)
    own = ("config", "settings", "resume", "dry_run", "progress", "as_json", "quiet")
    flags = {key: value for key, value in context.params.items() if key not in own and value is not None}
    if dry_run:
        plan = _plan(config, resume, settings or [], flags)
        output.print_result(asdict(plan) if as_json else _in_words(plan), as_json)
        return
    from gancli import api

    result = asdict(
        api.train(config, resume=resume, progress="none" if quiet else view, settings=settings or [], **flags)
    )
    metrics, best = result.pop("metrics"), result.pop("best")
    if best and not as_json:
        best = f"{best['metric']} {best['value']:.4g} at step {best['step']}: {best['checkpoint']}"
    result["seconds"] = round(result["seconds"], 1)
    from gancli.training.progress import shown_values

    shown = {"metrics": metrics} if as_json else {k: f"{v:.4g}" for k, v in shown_values(metrics).items()}
    output.print_result(result | {"best": best or None} | shown, as_json)


def _plan(config: str | None, resume: str | None, settings: list[str], flags: dict[str, Any]) -> "DryRun":
    from gancli import api
    from gancli.errors import UsageError

    if resume is not None:
        raise UsageError("--dry-run plans a new run; leave --resume away.")
    return api.dry_run(config, settings=settings, **flags)


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
