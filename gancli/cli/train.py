"""``gancli train``."""

from dataclasses import asdict
from datetime import timedelta
from typing import Annotated, Any

import typer
from typer import Option

from gancli.cli import output

DATA, NETWORK, LENGTH, MACHINE, FILES, SHOWN = (
    "Data", "GAN", "Length", "Machine", "Files of the run", "What is shown"
)  # fmt: skip


def train(
    context: typer.Context,
    data: Annotated[
        str | None,
        Option(
            metavar="NAME|DIR|ZIP",
            help="A folder or zip file of pictures, or digits (embedded), mnist, fashion-mnist, kmnist, cifar10, "
            "cifar100, stacked-mnist, ring, grid. "
            "[dim]\\[default: digits][/]",
            rich_help_panel=DATA,
        ),
    ] = None,
    data_root: Annotated[
        str | None,
        Option(
            metavar="DIR",
            help="Folder where data sets are found or downloaded to. "
            "[dim]\\[default: $GANCLI_DATA_ROOT, else the user's cache][/]",
            rich_help_panel=DATA,
        ),
    ] = None,
    image_size: Annotated[
        str | None,
        Option(
            metavar="N|HxW",
            help="Resize images to 64 or 64x96 (height first). [dim]\\[default: as they are][/]",
            rich_help_panel=DATA,
        ),
    ] = None,
    labels: Annotated[
        str | None,
        Option(
            metavar="auto|none|folder",
            help="Classes of pictures: a folder for each, or a dataset.json (auto). [dim]\\[default: auto][/]",
            rich_help_panel=DATA,
        ),
    ] = None,
    color: Annotated[
        str | None,
        Option(
            metavar="auto|rgb|grey|rgba",
            help="Channels of pictures. [dim]\\[default: auto, grey if all are][/]",
            rich_help_panel=DATA,
        ),
    ] = None,
    alpha: Annotated[
        str | None,
        Option(
            metavar="white|black|keep",
            help="What shines through transparent pixels. [dim]\\[default: white][/]",
            rich_help_panel=DATA,
        ),
    ] = None,
    fit: Annotated[
        str | None,
        Option(
            metavar="crop|pad|stretch",
            help="How pictures get one shape. [dim]\\[default: crop, the middle][/]",
            rich_help_panel=DATA,
        ),
    ] = None,
    small_images: Annotated[
        str | None,
        Option(
            metavar="upscale|skip",
            help="What happens to pictures that are smaller. [dim]\\[default: upscale][/]",
            rich_help_panel=DATA,
        ),
    ] = None,
    bad_images: Annotated[
        str | None,
        Option(
            metavar="error|skip",
            help="What happens to files that cannot be read. [dim]\\[default: error][/]",
            rich_help_panel=DATA,
        ),
    ] = None,
    holdout: Annotated[
        float | None,
        Option(
            metavar="SHARE",
            help="Share of the pictures that training never sees, by content. [dim]\\[default: 0.1][/]",
            rich_help_panel=DATA,
        ),
    ] = None,
    cache: Annotated[
        bool | None,
        Option(
            "--cache/--no-cache",
            show_default=False,
            help="Keep decoded pictures in the user's cache, or decode them whenever needed. [dim]\\[default: keep][/]",
            rich_help_panel=DATA,
        ),
    ] = None,
    mirror: Annotated[
        bool | None,
        Option("--mirror/--no-mirror", show_default=False, help="Flip half of the images.", rich_help_panel=DATA),
    ] = None,
    recipe: Annotated[
        str | None,
        Option(
            help="Which GAN; `gancli recipes` lists them. [dim]\\[default: the best for such data][/]",
            rich_help_panel=NETWORK,
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        Option(
            "--set",
            metavar="KEY=VALUE",
            help="Change a hyperparameter of the recipe (or any flag), e.g. d_lr=5e-5; repeatable.",
            rich_help_panel=NETWORK,
        ),
    ] = None,
    config: Annotated[
        str | None,
        Option(
            metavar="FILE",
            help="TOML file of flags and hyperparameters; flags and --set win over it.",
            rich_help_panel=NETWORK,
        ),
    ] = None,
    init_from: Annotated[
        str | None,
        Option(
            metavar="PATH",
            help="Start from the weights of a gen.pth, a checkpoint or a run, with new optimizers.",
            rich_help_panel=NETWORK,
        ),
    ] = None,
    augment: Annotated[
        str | None,
        Option(
            metavar="auto|none|diffaug|ada",
            help="Differentiable augmentation of what D sees, for few images. [dim]\\[default: auto][/]",
            rich_help_panel=NETWORK,
        ),
    ] = None,
    top_k: Annotated[
        float | None,
        Option(
            metavar="SHARE",
            help="Let G learn from the most real of its fakes; this share is left at the end. [dim]\\[default: 1][/]",
            rich_help_panel=NETWORK,
        ),
    ] = None,
    freeze_d: Annotated[
        int | None,
        Option(
            metavar="LAYERS",
            help="With --init-from: keep the lowest layers of D as they are. [dim]\\[default: 0][/]",
            rich_help_panel=NETWORK,
        ),
    ] = None,
    epochs: Annotated[
        float | None,
        Option(help="Passes over the training images. [dim]\\[default: the recipe's][/]", rich_help_panel=LENGTH),
    ] = None,
    steps: Annotated[int | None, Option(help="Generator updates, instead of --epochs.", rich_help_panel=LENGTH)] = None,
    batch_size: Annotated[
        str | None,
        Option(
            metavar="N|auto",
            help="Images a step sees, over all processes; auto: the recipe's, if a step of it fits into memory, else "
            "in parts, or less. [dim]\\[default: the recipe's][/]",
            rich_help_panel=LENGTH,
        ),
    ] = None,
    accumulate: Annotated[
        int | None,
        Option(
            metavar="PARTS",
            help="Work through a batch in parts, to save memory; the result is the same. [dim]\\[default: 1][/]",
            rich_help_panel=LENGTH,
        ),
    ] = None,
    seed: Annotated[
        int | None,
        Option(help="The same seed repeats the run exactly. [dim]\\[default: 0][/]", rich_help_panel=LENGTH),
    ] = None,
    device: Annotated[
        str | None,
        Option(help="auto, cpu, cuda, cuda:N or mps. [dim]\\[default: auto][/]", rich_help_panel=MACHINE),
    ] = None,
    precision: Annotated[
        str | None,
        Option(
            help="fp32, bf16 (faster on new hardware) or fp16 (older GPUs). [dim]\\[default: fp32][/]",
            rich_help_panel=MACHINE,
        ),
    ] = None,
    threads: Annotated[
        int | None,
        Option(help="CPU threads. [dim]\\[default: all cores, one for small images][/]", rich_help_panel=MACHINE),
    ] = None,
    compile: Annotated[
        str | None,
        Option(
            help="Compile the step: auto (tried in long runs), on or off. [dim]\\[default: auto][/]",
            rich_help_panel=MACHINE,
        ),
    ] = None,
    deterministic: Annotated[
        bool | None,
        Option(
            "--deterministic/--no-deterministic",
            show_default=False,
            help="Refuse operations that do not repeat exactly (CUDA).",
            rich_help_panel=MACHINE,
        ),
    ] = None,
    out: Annotated[
        str | None,
        Option(
            metavar="DIR",
            help="Folder that holds runs; this one gets the next number in it. [dim]\\[default: runs][/]",
            rich_help_panel=FILES,
        ),
    ] = None,
    name: Annotated[
        str | None, Option(help="Name of the run. [dim]\\[default: data-recipe][/]", rich_help_panel=FILES)
    ] = None,
    resume: Annotated[
        str | None,
        Option(
            metavar="PATH|latest",
            help="Go on exactly where a run stopped: 'latest' under --out, a run's folder, or a checkpoint.",
            rich_help_panel=FILES,
        ),
    ] = None,
    save_every: Annotated[
        int | None,
        Option(
            metavar="STEPS",
            help="Steps between checkpoints. [dim]\\[default: 20 over the run, 500 apart at least][/]",
            rich_help_panel=FILES,
        ),
    ] = None,
    sample_every: Annotated[
        int | None,
        Option(
            metavar="STEPS",
            help="Steps between sample grids; 0: at the end. [dim]\\[default: 20 over the run][/]",
            rich_help_panel=FILES,
        ),
    ] = None,
    eval_every: Annotated[
        int | None,
        Option(
            metavar="STEPS",
            help="Steps between quick evaluations, which choose the best checkpoint; 0: none. "
            "[dim]\\[default: 20 over the run, none in a short one][/]",
            rich_help_panel=FILES,
        ),
    ] = None,
    best_metric: Annotated[
        str | None,
        Option(
            metavar="NAME",
            help="Which of their figures chooses: fd, kid, precision, recall, density, coverage, modes, reverse_kl, "
            "class_kl; of points reverse_kl, modes, high_quality. [dim]\\[default: the first][/]",
            rich_help_panel=FILES,
        ),
    ] = None,
    log_every: Annotated[
        int | None,
        Option(
            metavar="STEPS",
            help="Steps that a line of metrics averages over. [dim]\\[default: 50][/]",
            rich_help_panel=FILES,
        ),
    ] = None,
    watch_every: Annotated[
        int | None,
        Option(
            metavar="STEPS",
            help="Steps between looks at the GAN's health; 0: none. [dim]\\[default: 100][/]",
            rich_help_panel=FILES,
        ),
    ] = None,
    on_failure: Annotated[
        str | None,
        Option(
            metavar="warn|stop|rollback",
            help="What to do when the GAN fails: tell, end with exit code 3, or go back to a healthy checkpoint and "
            "try with other draws and lower rates. [dim]\\[default: warn][/]",
            rich_help_panel=FILES,
        ),
    ] = None,
    keep: Annotated[
        int | None,
        Option(help="Checkpoints to keep, beside the best. [dim]\\[default: 3][/]", rich_help_panel=FILES),
    ] = None,
    dry_run: Annotated[
        bool,
        Option(
            "--dry-run",
            help="Check everything, run one step, print the plan; write nothing.",
            rich_help_panel=SHOWN,
        ),
    ] = False,
    progress: Annotated[
        str,
        Option(
            metavar="auto|rich|tqdm|plain|none",
            help="How progress is shown, on stderr.",
            rich_help_panel=SHOWN,
        ),
    ] = "auto",
    as_json: Annotated[
        bool, Option("--json", help="Print the result as one JSON object.", rich_help_panel=SHOWN)
    ] = False,
    quiet: Annotated[
        bool,
        Option(
            "--quiet",
            "-q",
            help="No progress and no notes; warnings and the result stay.",
            rich_help_panel=SHOWN,
        ),
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
        output.print_result(_plan(config, resume, settings or [], flags), as_json)
        return
    from gancli import api

    result = asdict(
        api.train(config, resume=resume, progress="none" if quiet else view, settings=settings or [], **flags)
    )
    metrics, best = result.pop("metrics"), result.pop("best")
    if best and not as_json:
        best = f"{best['metric']} {best['value']:.4g} at step {best['step']}: {best['checkpoint']}"
    result["seconds"] = round(result["seconds"], 1)
    from gancli.progress import shown_values

    shown = {"metrics": metrics} if as_json else {k: f"{v:.4g}" for k, v in shown_values(metrics).items()}
    output.print_result(result | {"best": best or None} | shown, as_json)


def _plan(config: str | None, resume: str | None, settings: list[str], flags: dict[str, Any]) -> dict[str, Any]:
    from gancli import api
    from gancli.errors import UsageError

    if resume is not None:
        raise UsageError("--dry-run plans a new run; leave --resume away.")
    plan = api.dry_run(config, settings=settings, **flags)
    resolved = asdict(plan.config)
    return {
        **{
            key: resolved[key]
            for key in ("data", "recipe", "hyperparameters", "device", "precision", "threads", "seed")
        },
        "images": f"{plan.images} to train on, {plan.heldout} held out",
        "batch_size": plan.config.batch_size,
        **({"accumulate": plan.config.accumulate} if plan.config.accumulate > 1 else {}),
        "epochs": round(plan.epochs, 2),
        "steps": plan.steps,
        "parameters": f"G {plan.generator_parameters:,}, D {plan.discriminator_parameters:,}",
        "memory": f"{plan.memory_bytes / 2**20:,.0f} MiB at the peak of one step",
        "time": f"about {timedelta(seconds=max(1, round(plan.seconds)))}",
        "out": f"{plan.config.out} (nothing was written)",
    }
