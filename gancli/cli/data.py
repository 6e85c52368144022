"""``gancli data check`` and ``gancli data cache``."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer import Argument, Option

from gancli.cli import output
from gancli.errors import UsageError

if TYPE_CHECKING:
    from gancli.data.pictures.inspection import Inspection

app = typer.Typer(help="Look at pictures before training, and at what is kept of them.", no_args_is_help=True)


@app.command("check")
def check(
    path: Annotated[str, Argument(help="A folder or zip file of pictures.")],
    image_size: Annotated[str | None, Option(metavar="N|HxW", help="As for gancli train.")] = None,
    labels: Annotated[str, Option(metavar="auto|none|folder", help="As for gancli train.")] = "auto",
    color: Annotated[str, Option(metavar="auto|rgb|grey|rgba", help="As for gancli train.")] = "auto",
    alpha: Annotated[str, Option(metavar="white|black|keep", help="As for gancli train.")] = "white",
    fit: Annotated[str, Option(metavar="crop|pad|stretch", help="As for gancli train.")] = "crop",
    small_images: Annotated[str, Option(metavar="upscale|skip", help="As for gancli train.")] = "upscale",
    bad_images: Annotated[str, Option(metavar="error|skip", help="As for gancli train.")] = "error",
    holdout: Annotated[float, Option(metavar="SHARE", help="As for gancli train.")] = 0.1,
    sheet: Annotated[
        Path | None, Option(metavar="FILE.png", help="Draw 64 of the pictures as training sees them.")
    ] = None,
    as_json: Annotated[bool, Option("--json", help="Print one JSON object.")] = False,
    quiet: Annotated[bool, Option("--quiet", "-q", help="No notes.")] = False,
) -> None:
    """Say what is in a folder or zip file, what training would do with it, and every file that cannot be read.

    Leaves with exit code 2 if training would refuse it.
    """
    output.set_up_log(quiet)
    if sheet is not None and (sheet.exists() or sheet.suffix.lower() != ".png"):
        raise UsageError(f"--sheet {sheet} exists already or is no .png; name a new one.")
    from gancli.config import build, parse_image_size
    from gancli.data import SOURCES, PictureOptions, pictures_at
    from gancli.data.pictures.inspection import inspect
    from gancli.sampling import rendering
    from gancli.training.progress import decoding_progress

    chosen = {
        "labels": labels, "color": color, "alpha": alpha, "fit": fit, "small_images": small_images,
        "bad_images": bad_images, "holdout": holdout,
    }  # fmt: skip
    options = build(PictureOptions, chosen, "the command line")
    size = None if image_size is None else parse_image_size(image_size)
    if path in SOURCES:
        raise UsageError(f"{path} is a data set of its own, which needs no check; write ./{path} for a folder.")
    with decoding_progress("none" if quiet else "auto") as on_progress:
        found = inspect(pictures_at(path), size, options, on_progress)
    if sheet is not None and found.sheet is not None:
        rendering.save_png(rendering.grid(found.sheet), sheet)
    if as_json:
        print(json.dumps(found.as_dict()))
    else:
        _print(found)
    if found.refusal:
        raise UsageError(f"training would refuse {path}: {found.refusal}.")


def _print(found: "Inspection") -> None:
    def counts(of: dict[str, int]) -> str:
        return ", ".join(f"{name} {count:,}" for name, count in sorted(of.items(), key=lambda pair: -pair[1]))

    height, width = found.image_size
    by_area = sorted(found.sizes, key=lambda size: size[0] * size[1])
    usual = found.sizes.most_common(1)
    output.print_result({
        "pictures": f"{found.pictures:,} (and {found.other_files:,} other files)",
        "formats": counts(found.formats),
        "modes": counts(found.modes),
        "sizes": f"{_size(by_area[0])} to {_size(by_area[-1])}, mostly {_size(usual[0][0])}" if usual else "none",
        "classes": counts(found.classes) or "none",
        "duplicates": sum(len(names) - 1 for names in found.duplicates),
        "transparent": found.transparent,
        "enlarged": found.enlarged,
        "too small": len(found.too_small),
        "unusable": len(found.bad),
        "policy": ", ".join(f"{name} {value}" for name, value in found.options.items()),
        "training": f"{height}x{width} {({1: 'grey', 3: 'RGB', 4: 'RGBA'})[found.channels]}, "
        f"{found.pictures - found.heldout:,} to train on, {found.heldout:,} held out",
        "memory": f"{found.memory_bytes / 2**20:,.1f} MiB decoded, on disk and device",
        "time": f"{found.seconds:,.1f} s to decode, once",
    }, as_json=False)  # fmt: skip
    for name, reason in (*found.bad, *found.too_small):
        print(f"  {name!r}: {reason}")


@app.command("cache")
def cache(
    clear: Annotated[bool, Option("--clear", help="Delete what is kept.")] = False,
    as_json: Annotated[bool, Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Say where decoded pictures are kept and how large they are, or delete them."""
    from gancli.data.pictures import decoded_cache

    folder = str(decoded_cache.cache_folder())
    if clear:
        output.print_result({"cleared": folder, "bytes": decoded_cache.clear_cache()}, as_json)
    else:
        output.print_result({"folder": folder, "bytes": decoded_cache.cache_size()}, as_json)


def _size(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
