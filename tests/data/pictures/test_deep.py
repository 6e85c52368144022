"""Pictures of more than 8 bits: one range for the whole set, linear, found, chosen, said and recorded."""

import logging
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sample_pictures import encoded, folder, picture

from gancli import data
from gancli.data import DataSet, PictureOptions
from gancli.data.pictures.decoding import decode
from gancli.data.pictures.deep import Deep, Ranges, as_choice, ranges_of
from gancli.data.pictures.inspection import inspect
from gancli.errors import UsageError

Y, X = np.mgrid[:32, :32]


def blob(number: int) -> np.ndarray:
    """A bright spot somewhere, float in [0, 1], that reaches both ends."""
    drawn = np.random.default_rng(number)
    (row, column), width = drawn.integers(8, 24, 2), drawn.uniform(5, 9)
    spot = np.exp(-((X - column) ** 2 + (Y - row) ** 2) / (2 * width * width))
    return (spot - spot.min()) / (spot.max() - spot.min())


def many(root: Path, scales: list[float], dtype: type, suffix: str = "tif", offset: float = 0) -> list[np.ndarray]:
    """Forty pictures of these largest values in turn; returns the values as they are in the files."""
    root.mkdir()
    made = []
    for number in range(40):
        values = (blob(number) * scales[number % len(scales)] + offset).astype(dtype)
        Image.fromarray(values).save(root / f"{number:02}.{suffix}")
        made.append(values)
    return made


def png16(values: np.ndarray) -> bytes:
    """A PNG file of 16 bits a channel, uint16 ``(H, W, C)``: grey with alpha, RGB or RGBA."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    height, width, channels = values.shape
    head = struct.pack(">IIBBBBB", width, height, 16, {2: 4, 3: 2, 4: 6}[channels], 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    parts = (chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def load(root: Path, cache: bool = True, **options: Any) -> DataSet:
    return data.load(str(root), options=PictureOptions(**options), cache=cache)


def in_order(root: Path, found: DataSet) -> np.ndarray:
    """All pixels in the order of the files' names, ``(N, H, W)``."""
    loaded = data.load_pictures(root, (1, 32, 32), PictureOptions(range=found.options["range"]))
    assert {x.numpy().tobytes() for x in loaded} == {
        x.numpy().tobytes() for split in (found.train, found.heldout) for x in split.images[:]
    }
    return loaded[:, 0].numpy()


@pytest.mark.parametrize("cache", [True, False])
@pytest.mark.parametrize(
    ("scales", "dtype", "suffix", "offset", "extent"),
    [
        ([4095, 2000], np.uint16, "png", 0, (0, 4095)),
        ([4000, 700], np.uint16, "tif", 0, (0, 4095)),
        ([65535, 9000], np.uint16, "tif", 0, (0, 65535)),
        ([300, 200], np.int32, "tif", 0, (0, 511)),
        ([3000, 4000], np.int32, "tif", -1000, (-1000, 4095)),
        ([1.02, 0.6], np.float32, "tif", 0, (0, 1.02)),
        ([0.9, 0.3], np.float32, "tif", 0, (0, 1)),
        ([2, 2], np.float32, "tif", -1, (-1, 1)),
        ([40000, 30000], np.float32, "tif", 0, (0, 65535)),
    ],
)
def test_one_range_holds_for_all_pictures(
    tmp_path: Path,
    scales: list[float],
    dtype: type,
    suffix: str,
    offset: float,
    extent: tuple[float, float],
    cache: bool,
) -> None:
    values = np.stack(many(tmp_path / "x", scales, dtype, suffix, offset)).astype(np.float64)
    black, white = extent
    expected = (values - black) / (white - black) * 255
    found = load(tmp_path / "x", cache)
    pixels = in_order(tmp_path / "x", found)
    assert np.abs(pixels - expected).max() <= 0.51
    ratio = (pixels[0].mean() / pixels[1].mean()) / ((values[0] - black).mean() / (values[1] - black).mean())
    assert abs(ratio - 1) < 0.02
    assert [float(number) for number in found.options["range"].split(",")] == pytest.approx(extent, abs=1e-6)


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_sixteen_bit_colours_keep_all_their_bits(channels: int) -> None:
    values = np.random.default_rng(0).integers(0, 4096, (20, 30, channels)).astype(np.uint16)
    if channels % 2 == 0:
        values[..., -1] = 65535
    found = decode(png16(values), 20, 30, PictureOptions(color="rgba"), Ranges((0, 4095)))
    colours = values[..., :3] if channels > 2 else values[..., [0, 0, 0]]
    assert np.abs(found.pixels[:3].transpose(1, 2, 0) - colours / 4095 * 255).max() <= 0.51
    assert (found.pixels[3] == 255).all()
    assert found.traits.deep is not None
    assert (found.traits.deep.low, found.traits.deep.high) == (colours.min(), colours.max())


def test_sixteen_bit_colours_of_a_set_find_their_range(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    for number in range(40):
        values = (blob(number)[..., None] * (4095, 2000, 900)).astype(np.uint16)
        (tmp_path / "x" / f"{number}.png").write_bytes(png16(values))
    found = load(tmp_path / "x")
    assert found.options["range"] == "0,4095"
    assert found.train.images.amax((0, 2, 3)).tolist() == [255, 125, 56]


def test_eight_bits_are_what_they_were_beside_more(tmp_path: Path) -> None:
    many(tmp_path / "x", [4095], np.uint16, "png")
    Image.fromarray(np.full((32, 32), 7, np.uint8)).save(tmp_path / "x" / "8bit.png")
    assert (in_order(tmp_path / "x", load(tmp_path / "x"))[-1] == 7).all()


def test_the_range_is_said_chosen_and_part_of_the_fingerprint(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    many(tmp_path / "x", [4095], np.uint16)
    with caplog.at_level(logging.INFO):
        auto = load(tmp_path / "x")
    assert "16 bits, values 0 to 4,095: scaled by 4,095 (--range changes it)" in caplog.text
    assert "look black" not in caplog.text
    full = load(tmp_path / "x", range="full")
    assert full.train.images.max() == 16 and full.options["range"] == "0,65535"
    assert "the brightest pixel of all pictures is 16 of 255, so they look black; --range LO,HI" in caplog.text
    own = load(tmp_path / "x", range="1000,2000")
    assert (own.train.images == 0).float().mean() > 0.2 < (own.train.images == 255).float().mean()
    assert len({auto.fingerprint, full.fingerprint, own.fingerprint}) == 3
    assert load(tmp_path / "x", range="0,4095").fingerprint == auto.fingerprint
    inspected = inspect(tmp_path / "x", None, PictureOptions())
    assert inspected.values == ["16 bits, values 0 to 4,095: scaled by 4,095"]
    assert inspected.sheet is not None and inspected.sheet.max() == 255


def test_dark_pictures_of_eight_bits_are_called_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Such as maps of labels."""
    root = tmp_path / "x"
    root.mkdir()
    for number in range(30):
        labels = np.random.default_rng(number).integers(0, 11, (16, 16), dtype=np.uint8)
        (root / f"{number}.png").write_bytes(encoded(Image.fromarray(labels)))
    load(root)
    assert "the brightest pixel of all pictures is 10 of 255" in caplog.text
    caplog.clear()
    load(folder(tmp_path / "y", 30), range="0,100")
    assert "--range does nothing, as no picture has more than 8 bits" in caplog.text


def test_what_is_no_number_is_an_end_of_the_range() -> None:
    values = np.array([[0.0, np.inf, -np.inf, np.nan, 0.5, 1.0]], np.float32)
    found = decode(encoded(Image.fromarray(values), "TIFF"), 1, 6, PictureOptions(color="grey"))
    assert found.pixels[0, 0].tolist() == [0, 255, 0, 0, 128, 255]
    assert found.traits.deep is not None and (found.traits.deep.low, found.traits.deep.high) == (0, 1)


def test_integers_and_floats_have_ranges_of_their_own() -> None:
    pictures = [Deep("16 bits", 0, 4000, 0, 65535), Deep("floats", 0, 0.8, 0, 1)]
    ranges = ranges_of(pictures, "auto")
    assert ranges == Ranges((0, 4095), (0, 1))
    assert as_choice(pictures, ranges) == "auto"


@pytest.mark.parametrize("choice", ["half", "1", "1,1", "2,1", "0,nan", "0,inf", "1,2,3", ","])
def test_a_range_that_is_none_is_refused(choice: str) -> None:
    with pytest.raises(UsageError, match="neither auto nor full nor two numbers"):
        PictureOptions(range=choice)


def test_older_runs_on_eight_bits_find_their_fingerprint(tmp_path: Path) -> None:
    """As version 0.1.0 computed it from these files' contents."""
    root = tmp_path / "x"
    root.mkdir()
    for number in range(40):
        (root / f"{number:02}.bmp").write_bytes(encoded(picture(number, 8, 8), "BMP"))
    assert load(root).fingerprint == load(root, cache=False).fingerprint == "9d20551b94741b14"


@pytest.mark.parametrize(
    ("dtype", "scale"),
    [("1", 1), ("uint8", 255), ("uint16", 65535), ("uint16", 4095), (">u2", 65535), ("float32", 1)],
)
def test_tiffs_whose_white_is_zero_are_read_as_bright_as_they_are_meant(
    dtype: str, scale: float, tmp_path: Path
) -> None:
    """Stored inverted, with the tag that says so, they are the same pictures; at 1 bit, black and white."""
    for kind in ("plain", "inverted"):
        (tmp_path / kind).mkdir()
    for number in range(40):
        values = blob(number) > 0.5 if dtype == "1" else (blob(number) * scale).astype(dtype)
        stored = Image.fromarray(values)
        stored.save(tmp_path / "plain" / f"{number:02}.tif")
        inverted = Image.fromarray(~values if dtype == "1" else (scale - values).astype(dtype))
        if dtype in ("1", "uint8"):
            inverted = stored  # which Pillow inverts as it writes
        inverted.save(tmp_path / "inverted" / f"{number:02}.tif", tiffinfo={262: 0})
    plain, inverted_set = (load(tmp_path / kind, cache=False) for kind in ("plain", "inverted"))
    pixels = [
        np.concatenate([found.train.images[:], found.heldout.images[:]]).mean((1, 2, 3))
        for found in (plain, inverted_set)
    ]
    assert np.allclose(np.sort(pixels[0]), np.sort(pixels[1]), atol=0.6)
    assert pixels[0].mean() < 128
    assert plain.fingerprint != inverted_set.fingerprint
