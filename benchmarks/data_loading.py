"""Decoding against a plain loop and torchvision's loader, the second start on 50,000 pictures, memory while streaming.

All in one run, in turns, on the same files: photographs made up of noise (512 x 384, to 64 x 64) and CIFAR-10's
training images from an archive (32 x 32), unpacked for those that need that.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import PIL
import torch
from PIL import Image, ImageOps
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder

from gancli import data
from gancli.data import PictureOptions
from gancli.data.pictures.listing import list_pictures
from gancli.data.pictures.reading import Decoder, read_pictures
from gancli.machine import cores
from gancli.steps.batches import ResidentImages
from gancli.steps.prefetching import PrefetchedImages

PHOTOGRAPHS = 600
BATCH = 64


def photographs(root: Path) -> Path:
    """JPEG files of smooth noise, as heavy as photographs of that size."""
    folder = root / "photographs" / "all"
    folder.mkdir(parents=True)
    drawn = np.random.default_rng(0)
    for number in range(PHOTOGRAPHS):
        rough = Image.fromarray(drawn.integers(0, 256, (48, 64, 3), dtype=np.uint8)).resize((512, 384))
        fine = np.asarray(rough) + drawn.normal(0, 6, (384, 512, 3))
        Image.fromarray(fine.clip(0, 255).astype(np.uint8)).save(folder / f"{number:04}.jpg", quality=88)
    return folder.parent


def plain(paths: Sequence[Path], side: int) -> None:
    """What people write: open, convert, fit, to an array."""
    for path in paths:
        with Image.open(path) as image:
            np.asarray(ImageOps.fit(image.convert("RGB"), (side, side), Image.Resampling.LANCZOS))


def torchvision_loader(root: Path, side: int, workers: int) -> None:
    """ImageFolder in a DataLoader."""
    steps = [transforms.Resize(side), transforms.CenterCrop(side), transforms.PILToTensor()]
    for _ in DataLoader(ImageFolder(str(root), transforms.Compose(steps)), BATCH, num_workers=workers):
        pass


def gancli_reader(root: Path, side: int) -> None:
    """What fills gancli's cache, hashing included."""
    listing = list_pictures(root)
    for _ in read_pictures(Decoder(listing, side, side, PictureOptions()), listing.entries):
        pass


def decoding(root: Path, side: int, rounds: int) -> dict[str, float]:
    """Pictures per second of each way, medians of rounds in turns, and how much faster gancli is."""
    paths, cores = sorted(root.rglob("*.jpg")), os.cpu_count() or 1
    ways: dict[str, Callable[[], None]] = {
        "plain PIL": lambda: plain(paths, side),
        "ImageFolder, no workers": lambda: torchvision_loader(root, side, 0),
        f"ImageFolder, {cores} workers": lambda: torchvision_loader(root, side, cores),
        "gancli": lambda: gancli_reader(root, side),
    }
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            began = time.perf_counter()
            way()
            rates[name].append(len(paths) / (time.perf_counter() - began))
    medians = {name: statistics.median(values) for name, values in rates.items()}
    ratios = {f"gancli over {name}": medians["gancli"] / value for name, value in medians.items() if name != "gancli"}
    return {name: round(value) for name, value in medians.items()} | {k: round(v, 2) for k, v in ratios.items()}


def second_start(archive: Path, unpacked: Path, rounds: int) -> dict[str, float]:
    """Seconds of whole commands that train one step, when everything is decoded; the embedded data beside them."""
    flags = ["--steps", "1", "--batch-size", "64", "--recipe", "dcgan", "--quiet"]
    sources = {
        "embedded digits": [],
        "zip of 50,000": ["--data", str(archive), "--labels", "folder"],
        "folder of 50,000": ["--data", str(unpacked), "--labels", "folder"],
    }
    seconds: dict[str, list[float]] = {name: [] for name in sources}
    with tempfile.TemporaryDirectory() as out:
        for number in range(rounds + 1):
            for name, source in sources.items():
                began = time.perf_counter()
                command = [sys.executable, "-m", "gancli", "train", *source, *flags, "--out", out]
                subprocess.run(command, check=True, capture_output=True)
                if number:  # the first round fills the cache
                    seconds[name].append(time.perf_counter() - began)
    return {name: round(statistics.median(values), 2) for name, values in seconds.items()}


def streaming(root: Path, batches: int) -> dict[str, float]:
    """Memory in MiB while ``--no-cache`` streams, and its pictures per second."""
    train = data.load(str(root), size=(64, 64), cache=False).train
    real = PrefetchedImages(ResidentImages(train.images, train.labels, BATCH, 0), torch.device("cpu"))
    resident: list[float] = []
    began = time.perf_counter()
    for number in range(batches):
        real.batch(number)
        resident.append(int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20)
    rate = BATCH * batches / (time.perf_counter() - began)
    tenth = max(1, batches // 10)
    return {
        "batches": batches,
        "MiB after a tenth": round(max(resident[:tenth]), 1),
        "MiB at the end": round(max(resident[-tenth:]), 1),
        "pictures per second": round(rate),
    }


def main() -> None:
    """Measure all three."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--archive", type=Path, required=True, help="cifar10-train.zip, a folder for each class")
    parser.add_argument("--rounds", type=int, default=5, help="of decoding; of whole commands three")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        os.environ["XDG_CACHE_HOME"] = str(root / "cache")
        photos = photographs(root)
        with zipfile.ZipFile(options.archive) as archive:
            archive.extractall(root / "cifar10")
            few = [name for name in archive.namelist() if name.endswith(("00.jpg", "50.jpg"))]
            archive.extractall(root / "few", few)
        result = {
            "decoding, pictures per second": {
                f"{PHOTOGRAPHS} of 512x384 to 64x64": decoding(photos, 64, options.rounds),
                f"{len(few)} of 32x32": decoding(root / "few", 32, options.rounds),
            },
            "second start, seconds of a whole command": second_start(options.archive, root / "cifar10", 3),
            "streaming without a cache": streaming(photos, 100),
            "cores": os.cpu_count(),
            "load when it began": round(os.getloadavg()[0], 1),
            "pillow": PIL.__version__,
            "torch": torch.__version__,
            "processor": cores.processor(),
            "date": datetime.now(UTC).date().isoformat(),
        }
    print(json.dumps(result, indent=1))
    Path(__file__).with_suffix(".json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
