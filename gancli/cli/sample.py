"""``gancli sample``."""

from pathlib import Path
from typing import Annotated

from typer import Option

from gancli.cli import output


def sample(
    ckpt: Annotated[Path, Option(metavar="FILE", help="A generator file, gen.pth; nothing else is needed.")],
    out: Annotated[
        Path | None,
        Option(
            metavar="PATH",
            help="grid.png, images.npy (uint8 N H W C), or a folder for single images. "
            "[dim]\\[default: samples-0001.png, counted up][/]",
        ),
    ] = None,
    n: Annotated[int, Option("--n", "-n", help="How many images.")] = 64,
    seed: Annotated[int, Option(help="Image k of a seed is always the same picture.")] = 0,
    seeds: Annotated[
        str | None,
        Option(metavar="0-7,12", help="Draw just these image numbers of the seed, instead of the first --n."),
    ] = None,
    classes: Annotated[str | None, Option(metavar="3,7", help="Draw these classes in turn (conditional GANs).")] = None,
    device: Annotated[str, Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    batch_size: Annotated[
        int | None,
        Option(help="Images a forward pass takes; rounded up to a multiple of 16. [dim]\\[default: by image size][/]"),
    ] = None,
    overwrite: Annotated[bool, Option("--overwrite", help="Replace what is at --out.")] = False,
    as_json: Annotated[bool, Option("--json", help="Print the result as one JSON object.")] = False,
    quiet: Annotated[bool, Option("--quiet", "-q", help="No progress and no notes.")] = False,
) -> None:
    """Draw images from a trained generator.

    [bold]gancli sample --ckpt runs/0001-digits-r3gan/gen.pth --n 1000 --out images[/]
    """
    output.set_up_log(quiet)
    from gancli import api, sample_output

    target = sample_output.target(out, overwrite)
    names = [name.strip() for name in classes.split(",")] if classes else None
    batches, numbers = api.sample_batches(
        ckpt, n=n, seed=seed, seeds=seeds, classes=names, device=device, batch_size=batch_size
    )
    with output.bar("drawing", len(numbers), quiet) as advance:
        sample_output.write(target, output.counted(batches, advance), numbers)
    output.print_result({"samples": str(target.path), "n": len(numbers)}, as_json)
