"""How figures react to what may be wrong with images, by each extractor that needs no download.

    python benchmarks/extractors.py --emoji fluent-emoji.zip --cifar10 cifar10-train.zip

Sets that stand for generated images are compared with N real ones, on CIFAR-10 and on the emoji at 64 x 64: the same
images; other real ones (iid); those with noise of 20 levels of 255, or blurred by one pixel; half of them replaced by
copies of the real ones; a tenth of them, ten times each; and pictures of the other data set (disjoint). "ms" is the
processor's time for an image's features on one thread. Results go to benchmarks/extractors.json.
"""

import argparse
import io
import json
import os
import platform
import tempfile
import time
import zipfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.functional import gaussian_blur, pil_to_tensor

from gancli.evaluation import Extractor, Features, evaluate, extract, extractor_for, random_extractor
from gancli.evaluation.extractors.imagenet import imagenet_extractor

RESULTS = Path(__file__).with_suffix(".json")
METRICS = ("fd", "precision", "recall", "density", "coverage")
NOISE, BLUR = 20, 1.0
CLASSIFIER_IMAGES = 5000
CPU = torch.device("cpu")


def pictures(archive: Path, count: int, side: int) -> tuple[Tensor, Tensor]:
    """Pictures in a fixed random order, uint8 ``(N, 3, side, side)`` on white, and their folders' numbers."""
    with zipfile.ZipFile(archive) as files:
        names = sorted(name for name in files.namelist() if Path(name).suffix in (".jpg", ".webp"))
        folders = sorted({str(Path(name).parent) for name in names})
        order = torch.randperm(len(names), generator=torch.Generator().manual_seed(0))[:count]
        chosen = [names[i] for i in order.tolist()]
        images = torch.stack([_picture(files.read(name), side) for name in chosen])
    return images, torch.tensor([folders.index(str(Path(name).parent)) for name in chosen])


def _picture(content: bytes, side: int) -> Tensor:
    shown = Image.open(io.BytesIO(content)).convert("RGBA")
    shown = Image.alpha_composite(Image.new("RGBA", shown.size, "white"), shown).convert("RGB")
    return pil_to_tensor(shown.resize((side, side), Image.Resampling.BICUBIC))


def noisy(images: Tensor) -> Tensor:
    """With normal noise of `NOISE` levels."""
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(1))
    return (images + NOISE * noise).round().clamp(0, 255).to(torch.uint8)


def figures_of(extractor: Extractor, real: Tensor, others: Tensor, foreign: Tensor) -> dict[str, dict[str, float]]:
    """Each set's figures against the real images; all are uint8 ``(N, C, H, W)``, as many of each."""
    began = time.process_time()
    held, iid = extract(real, extractor, "heldout"), extract(others, extractor, "generated")
    ms = 1000 * (time.process_time() - began) / (2 * len(real))
    n = len(real)
    half = torch.arange(n) % 2 == 0
    sets = {
        "identical": held,
        "iid": iid,
        "noisy": extract(noisy(others), extractor, "generated"),
        "blurred": extract(gaussian_blur(others, [7, 7], [BLUR, BLUR]), extractor, "generated"),
        "half copied": Features(torch.where(half[:, None], held.values, iid.values), None, held.extractor, "generated"),
        "a tenth repeated": iid.part(torch.arange(n) % (n // 10)),
        "disjoint": extract(foreign, extractor, "generated"),
    }
    rows = {name: _measured(each, held) for name, each in sets.items()}
    return rows | {"cost": {"ms": round(ms, 2)}}


def _measured(generated: Features, real: Features) -> dict[str, float]:
    report = evaluate(Features(generated.values, None, real.extractor, "generated"), real, metrics=METRICS)
    return {figure.metric: float(f"{figure.value:.4g}") for figure in report.figures}


def classifier(images: Tensor, labels: Tensor) -> Extractor:
    """The usual classifier, of a tenth fewer images than there are."""
    cut = len(images) // 10
    with tempfile.TemporaryDirectory() as folder:
        split = (images[cut:], labels[cut:], images[:cut], labels[:cut])
        return extractor_for(*split, "benchmark", CPU, Path(folder))


def measure(n: int, emoji: Path, cifar10: Path) -> dict[str, dict[str, dict[str, dict[str, float]]]]:
    """Figures by data set, extractor and set."""
    colours, labels = pictures(cifar10, 2 * n + CLASSIFIER_IMAGES, 32)
    faces, _ = pictures(emoji, 2 * n, 64)
    shrunk, grown = (torch.nn.functional.interpolate(a[:n].float(), b.shape[2:], mode="bilinear", antialias=True)
                     .round().to(torch.uint8) for a, b in ((faces, colours), (colours, faces)))  # fmt: skip
    trained = classifier(colours[2 * n :], labels[2 * n :])
    found: dict[str, dict[str, dict[str, dict[str, float]]]] = {}
    cases: Sequence[tuple[str, Tensor, Tensor, list[Extractor]]] = (
        ("cifar10", colours, shrunk, [trained]), ("fluent-emoji 64x64", faces, grown, [])
    )  # fmt: skip
    for name, images, foreign, own in cases:
        found[name] = {}
        for extractor in (*own, random_extractor(images.shape), imagenet_extractor()):
            found[name][extractor.name] = figures_of(extractor, images[:n], images[n : 2 * n], foreign)
            print(name, extractor.name, extractor.accuracy, json.dumps(found[name][extractor.name]), flush=True)
    return found


def main() -> None:
    """Measure and write down."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--emoji", type=Path, required=True)
    parser.add_argument("--cifar10", type=Path, required=True)
    parser.add_argument("--n", type=int, default=1500)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = measure(options.n, options.emoji, options.cifar10)
    machine = f"{platform.machine()}, {os.cpu_count()} cores, 1 thread used"
    result = {"date": datetime.now(UTC).date().isoformat(), "machine": machine, "n": options.n, "figures": rows}
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
