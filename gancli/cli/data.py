"""``gancli data check`` and ``gancli data cache``."""

import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from gancli.cli import output
from gancli.cli.command import CommandGroup, add
from gancli.errors import UsageError, counted, in_a_list

if TYPE_CHECKING:
    from gancli.config.commands import CacheFlags, CheckFlags
    from gancli.data.pictures.inspection import Inspection

log = logging.getLogger(__name__)
app = typer.Typer(
    cls=CommandGroup, help="Look at pictures before training, and at what is kept of them.", no_args_is_help=True
)


def check(told: "CheckFlags") -> None:
    """Say what is in a folder, zip or NumPy file, what training would do with it, and every file that cannot be read.

    Ends with exit code 2 if training would refuse it.

    [bold]gancli data check pictures/ --image-size 64 --sheet sheet.png[/]
    """
    output.set_up_log(told.quiet)
    sheet = Path(told.sheet) if told.sheet else None
    if sheet is not None and (sheet.exists() or sheet.suffix.lower() != ".png"):
        raise UsageError(f"--sheet {sheet} exists already or is no .png; name a new one.")
    from gancli.config import PictureOptions, parse_image_size
    from gancli.config.settings import part_of
    from gancli.data import SOURCES, pictures_at
    from gancli.data.array_inspection import inspect_array
    from gancli.data.arrays import is_array
    from gancli.data.pictures.inspection import inspect
    from gancli.sampling import rendering
    from gancli.training.progress import decoding_progress

    size = parse_image_size(told.image_size) if told.image_size else None
    if told.data in SOURCES:
        raise UsageError(
            f"{told.data} is a data set of its own, which needs no check; write ./{told.data} for a folder."
        )
    path, options = pictures_at(told.data), part_of(told, PictureOptions)
    if is_array(told.data):
        inspection = inspect_array(path, size, options)
    else:
        with decoding_progress("none" if told.quiet else "auto") as on_progress:
            inspection = inspect(path, size, options, on_progress)
    if sheet is not None and inspection.sheet is not None:
        rendering.save_png(rendering.grid(inspection.sheet), sheet)
    for text in inspection.warnings:
        log.warning("%s.", text)
    if told.json:
        print(json.dumps(inspection.as_dict()))
    else:
        _print(inspection)
    if inspection.refusal:
        raise UsageError(f"training would refuse {told.data}: {inspection.refusal}.")


def _print(inspection: "Inspection") -> None:
    def counts(of: dict[str, int]) -> str:
        return ", ".join(
            f"{in_a_list(name)} {count:,}" for name, count in sorted(of.items(), key=lambda pair: -pair[1])
        )

    height, width = inspection.image_size
    by_area = sorted(inspection.sizes, key=lambda size: size[0] * size[1])
    usual = inspection.sizes.most_common(1)
    output.print_result({
        "pictures": f"{inspection.pictures:,} (and {counted(inspection.other_files, 'other file')})",
        "frames": f"{inspection.frames:,}",
        "formats": counts(inspection.formats),
        "modes": counts(inspection.modes),
        "values": "; ".join(inspection.values) or "8 bits",
        "sizes": f"{_size(by_area[0])} to {_size(by_area[-1])}, mostly {_size(usual[0][0])}" if usual else "none",
        "classes": counts(inspection.classes) or "none",
        **({"conditions": _conditions(inspection)} if inspection.conditions else {}),
        "duplicates": sum(len(names) - 1 for names in inspection.duplicates),
        "transparent": inspection.transparent,
        "enlarged": inspection.enlarged,
        "too small": len(inspection.too_small),
        "unusable": len(inspection.bad),
        "policy": ", ".join(f"{name} {value}" for name, value in inspection.options.items()),
        "training": f"{height}x{width} {({1: 'grey', 3: 'RGB', 4: 'RGBA'})[inspection.channels]}, "
        f"{inspection.pictures - inspection.heldout:,} to train on, {inspection.heldout:,} held out",
        "memory": f"{inspection.memory_bytes / 2**20:,.1f} MiB decoded, on disk and device",
        "time": f"{inspection.seconds:,.1f} s to decode, once",
    }, as_json=False)  # fmt: skip
    for name, reason in (*inspection.bad, *inspection.too_small):
        print(f"  {name!r}: {reason}")


def _conditions(inspection: "Inspection") -> str:
    """``smile 41 %; age 18 to 80, mean 33.5``."""
    return "; ".join(
        f"{name} {100 * about['share']:.3g} %"
        if "share" in about
        else f"{name} {about['least']:g} to {about['most']:g}, mean {about['mean']:.4g}"
        for name, about in inspection.conditions.items()
    )


def cache(told: "CacheFlags") -> None:
    """Say where decoded pictures are kept, of which sets, and how much they may take; or delete them.

    Beyond the limit, the sets that were used longest ago are deleted. GANCLI_CACHE_GIB sets another limit.
    """
    from gancli.data.pictures import cache_folder as kept

    folder = str(kept.cache_folder())
    if told.clear:
        output.print_result({"cleared": folder, "bytes": kept.clear_cache()}, told.json)
        return
    sets, limit = kept.kept_sets(), kept.limit()
    result = {"folder": folder, "bytes": kept.cache_size(), "limit": limit, "sets": [each.as_dict() for each in sets]}
    in_words = result | {"limit": f"{limit / 2**30:g} GiB; what was used longest ago goes first", "sets": len(sets)}
    output.print_result(result if told.json else in_words, told.json)
    for each in () if told.json else sets:
        print(f"  {each.bytes / 2**20:,.1f} MiB, last used {each.last_used}: {each.source or 'unknown'} {each.size}")


def _size(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


add(app, "check", check, "CheckFlags")
add(app, "cache", cache, "CacheFlags")
