"""Make the picture that holds the built-in faces, of an archive of Fluent Emoji's pictures.

python benchmarks/faces.py fluent-emoji.zip
"""

import argparse
import io
import math
import tempfile
import zipfile
from pathlib import Path

from colour import faces_of
from PIL import Image

from gancli.data import faces

COLUMNS = 20


def on_white(content: bytes) -> Image.Image:
    """A picture of the built-in size, its transparent parts white."""
    picture = Image.open(io.BytesIO(content)).convert("RGBA")
    white = Image.new("RGBA", picture.size, "white")
    white.alpha_composite(picture)
    return white.convert("RGB").resize((faces.SIDE, faces.SIDE), Image.Resampling.LANCZOS)


def main() -> None:
    """Write the sheet beside the module that reads it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archive", type=Path)
    archive = parser.parse_args().archive
    with tempfile.TemporaryDirectory() as scratch:
        faces_of(archive, Path(scratch) / "faces.zip")
        with zipfile.ZipFile(Path(scratch) / "faces.zip") as few:
            pictures = [on_white(few.read(name)) for name in few.namelist()]
    side, rows = faces.SIDE, math.ceil(len(pictures) / COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * side, rows * side), "white")
    for place, picture in enumerate(pictures):
        sheet.paste(picture, (place % COLUMNS * side, place // COLUMNS * side))
    target = Path(faces.__file__).with_suffix(".webp")
    sheet.save(target, lossless=True, quality=100, method=6)
    print(f"{len(pictures)} faces, {target.stat().st_size:,} bytes: {target}")


if __name__ == "__main__":
    main()
