"""``gancli sample``."""

from pathlib import Path
from typing import Annotated

from gancli.cli import output
from gancli.cli.output import flag


def sample(
    ckpt: Annotated[Path, flag(None, "FILE", "A generator file, gen.pth, or a checkpoint; nothing else is needed.")],
    out: Annotated[
        Path | None,
        flag(
            None,
            "PATH",
            "A grid (.png, .jpg, .webp), an array (.npy, .npz; uint8 N H W C), an animation (.gif), or a folder for "
            "single images.",
            "samples-0001.png, counted up",
        ),
    ] = None,
    n: Annotated[int, flag(None, None, "How many images.", "", "--n", "-n")] = 64,
    seed: Annotated[int, flag(None, None, "Image k of a seed is always the same picture.")] = 0,
    seeds: Annotated[
        str | None, flag(None, "0-7,12", "Draw just these image numbers of the seed, instead of the first --n.")
    ] = None,
    classes: Annotated[str | None, flag(None, "3,7", "Draw these classes in turn (conditional GANs).")] = None,
    trunc: Annotated[
        float | None,
        flag(None, "BOUND", "Cut the latent's values off at this bound: better images, less varied.", "none"),
    ] = None,
    interpolate: Annotated[
        int | None,
        flag(None, "FRAMES", "Draw so many images on the way from each to the next, and back to the first."),
    ] = None,
    form: Annotated[str | None, flag(None, "png|jpg|webp", "Of the pictures in a folder.", "png", "--format")] = None,
    device: Annotated[str, flag(None, None, "auto, cpu, cuda, cuda:N or mps.")] = "auto",
    batch_size: Annotated[
        int | None,
        flag(None, None, "Images a forward pass takes; rounded up to a multiple of 16.", "by image size"),
    ] = None,
    overwrite: Annotated[bool, flag(None, None, "Replace what is at --out.", "", "--overwrite")] = False,
    as_json: Annotated[bool, flag(None, None, "Print the result as one JSON object.", "", "--json")] = False,
    quiet: Annotated[bool, flag(None, None, "No progress and no notes.", "", "--quiet", "-q")] = False,
) -> None:
    """Draw images from a trained generator.

    [bold]gancli sample --ckpt runs/0001-digits-r3gan/gen.pth --n 1000 --out images[/]

    [bold]gancli sample --ckpt runs/0001-digits-r3gan/gen.pth --seeds 0-7 --interpolate 25 --out walk.gif[/]
    """
    output.set_up_log(quiet)
    from gancli import api
    from gancli.sampling import output as sample_output

    target = sample_output.target(out, overwrite, form)
    names = None if classes is None else [name.strip() for name in classes.split(",")]
    drawing = api.plan_sample(
        ckpt, n=n, seed=seed, seeds=seeds, classes=names, trunc=trunc, interpolate=interpolate, device=device,
        batch_size=batch_size,
    )  # fmt: skip
    with output.bar("drawing", len(drawing.numbers), quiet) as advance:
        sample_output.write(target, output.counted(drawing.batches, advance), drawing.numbers, drawing.columns)
    output.print_result({"samples": str(target.path), "n": len(drawing.numbers)}, as_json)
