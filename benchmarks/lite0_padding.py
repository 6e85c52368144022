"""Which padding the weights of EfficientNet-Lite0 were trained with: its classifier's accuracy with both.

    python benchmarks/lite0_padding.py --emoji fluent-emoji.zip --cifar10 cifar10-train.zip

Three photographs that come with scikit-learn and matplotlib, in several crops; emoji whose ImageNet class is plain;
and CIFAR-10 with the probabilities of ImageNet's classes summed to its own; all at 224 x 224. The latter two are far
from the photographs of ImageNet, so the mean log-probability of the right class is told beside the accuracy.
Results go to benchmarks/lite0_padding.json.
"""

import argparse
import io
import json
import os
import platform
import zipfile
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from matplotlib import cbook
from PIL import Image
from torch import Tensor
from torchvision.transforms.functional import pil_to_tensor

from gancli.models import efficientnet_lite0
from gancli.pretrained import lite0_weights

RESULTS = Path(__file__).with_suffix(".json")
SIDE = 224
PHOTOGRAPHS = {"military uniform": 652, "daisy": 985, "palace": 698}
CROPS = (0.7, 0.8, 0.9, 1.0)
"""Sides of the middle that is shown, as parts of the shorter side."""
EMOJI: dict[str, tuple[int, ...]] = {
    "1f981": (291,), "1f405": (292,), "1f43c": (388,), "1f993": (340,), "1f418": (101, 385, 386), "1f9a9": (130,),
    "1f428": (105,), "1f41e": (301,), "1f41d": (309,), "1f98b": (322, 323, 326), "1f40c": (113,),
    "1f980": (118, 119, 120, 121), "1f99e": (122, 123), "1f42a": (354,), "1f99b": (344,), "1f427": (145,),
    "1f99a": (84,), "1f99c": (87, 88, 90), "1f40a": (49, 50), "1f982": (71,), "1f413": (7, 8), "1f9a5": (364,),
    "1f9a6": (360,), "1f9a8": (361,), "1f9a1": (362,), "1f994": (334,), "1f416": (341,), "1f402": (345, 346),
    "1f40f": (348, 349), "1f98d": (366,), "1f9a7": (365,), "1f43a": (269, 270), "1f98a": (277, 278, 280),
    "1f353": (949,), "1f34b": (951,), "1f34d": (953,), "1f34c": (954,), "1f34a": (950,), "1f34f": (948,),
    "1f952": (943,), "1f344": (947, 992), "1f966": (937,), "1f33d": (987, 998), "1f355": (963,), "1f354": (933,),
    "1f32d": (934,), "1f968": (932,), "1f96f": (931,), "1f366": (928,), "1f32f": (965,), "2615": (967, 968, 504),
    "1f3b8": (402, 546), "1f3bb": (889,), "1f3b7": (776,), "1f3ba": (513,), "1f941": (541,), "1fa97": (401,),
    "1fa95": (420,), "26bd": (805,), "1f3c0": (430,), "1f3be": (852,), "1f3d0": (890,), "1f68c": (779, 654, 874),
    "1f691": (407,), "1f692": (555,), "1f695": (468,), "1f69c": (866,), "2708-fe0f": (404,), "2602-fe0f": (879,),
    "1f388": (417,), "23f3": (604,), "1f4f1": (487, 590), "1f4bb": (620, 681), "2328-fe0f": (508,),
    "1f5a8-fe0f": (742,), "1f392": (414,), "1f576-fe0f": (836, 837), "1f920": (515,), "1f56f-fe0f": (470,),
    "1f528": (587,), "1f9fb": (999,), "1f6bd": (861,), "1f6c1": (435, 876), "1f9f8": (850,), "1faa3": (463,),
    "1f3f9": (456,), "1f6e1-fe0f": (787,), "26f2": (562,), "1f30b": (980,), "1f6a6": (920,), "1f3a0": (476,),
    "1fa82": (701,), "1f6b2": (671, 444), "1f6f5": (670, 665), "1f4f7": (732, 759), "1f4fa": (851, 664),
    "1f9e6": (806,), "1f459": (445,), "1f97c": (617,), "1f456": (608,), "1f45f": (770,), "1f9f9": (462,),
    "1f489": (845,), "1fa7a": (823,), "1f9ee": (398,), "1f3d3": (722,), "1f3b0": (800,), "1f579-fe0f": (613,),
    "1f9e9": (611,), "1f6d2": (791,), "1f5d1-fe0f": (412,), "2709-fe0f": (549,), "23f0": (409, 892, 530),
    "1f9ed": (635,), "1f526": (862,), "1fad1": (945,), "1f330": (988,), "1f33c": (985,),
}  # fmt: skip
"""Code points as files are named -> ImageNet's numbers of the classes that such a picture shows."""
CIFAR10: dict[str, tuple[int, ...]] = {
    "airplane": (404, 895), "automobile": (436, 468, 511, 609, 627, 656, 661, 751, 817),
    "bird": (*range(7, 25), *range(80, 101), *range(127, 147)), "cat": tuple(range(281, 286)),
    "deer": (351, 352, 353), "dog": tuple(range(151, 269)), "frog": (30, 31, 32), "horse": (339,),
    "ship": (403, 472, 484, 510, 554, 625, 628, 724, 780, 814, 871, 914), "truck": (555, 569, 675, 717, 864, 867),
}  # fmt: skip


def picture(content: bytes) -> Tensor:
    """Float ``(1, 3, 224, 224)`` in [-1, 1], transparent places white."""
    shown = Image.open(io.BytesIO(content)).convert("RGBA")
    return resized(Image.alpha_composite(Image.new("RGBA", shown.size, "white"), shown).convert("RGB"))


def resized(shown: Image.Image) -> Tensor:
    """An RGB picture as float ``(1, 3, 224, 224)`` in [-1, 1]."""
    return pil_to_tensor(shown.resize((SIDE, SIDE), Image.Resampling.BICUBIC))[None].float() / 127.5 - 1


def crops(photograph: Image.Image) -> list[Tensor]:
    """The middle in several sizes, each as it is and mirrored."""
    found = []
    for part in CROPS:
        side = round(part * min(photograph.size))
        left, top = (photograph.width - side) // 2, (photograph.height - side) // 2
        shown = resized(photograph.crop((left, top, left + side, top + side)))
        found += [shown, shown.flip(3)]
    return found


@torch.inference_mode()
def log_probabilities(network: efficientnet_lite0.Lite0, pictures: Iterable[Tensor]) -> Tensor:
    """``(N, 1000)`` of ImageNet's classes."""
    weights = lite0_weights()
    features = torch.cat([network(each) for each in pictures])
    return (features @ weights["_fc.weight"].T + weights["_fc.bias"]).log_softmax(1)


def figures(found: Tensor, right: list[tuple[int, ...]]) -> dict[str, float]:
    """Accuracy and mean log-probability of log-probabilities ``(N, classes)`` where several classes may be right."""
    hits = [guess in classes for guess, classes in zip(found.argmax(1).tolist(), right, strict=True)]
    likelihood = torch.stack([row[list(classes)].logsumexp(0) for row, classes in zip(found, right, strict=True)])
    return {
        "n": len(hits), "accuracy": round(sum(hits) / len(hits), 4),
        "log_probability": round(likelihood.mean().item(), 4),
    }  # fmt: skip


def of_photographs(network: efficientnet_lite0.Lite0) -> dict[str, float]:
    """Figures of all crops of the three photographs."""
    names = resources.files("sklearn.datasets.images")
    paths = [cbook.get_sample_data("grace_hopper.jpg", asfileobj=False), names / "flower.jpg", names / "china.jpg"]
    shown = [each for path in paths for each in crops(Image.open(str(path)).convert("RGB"))]
    right = [(number,) for number in PHOTOGRAPHS.values() for _ in range(2 * len(CROPS))]
    return figures(log_probabilities(network, shown), right)


def of_emoji(network: efficientnet_lite0.Lite0, archive: Path) -> dict[str, float]:
    """Figures of the emoji named above."""
    with zipfile.ZipFile(archive) as pictures:
        files = {Path(name).stem: name for name in pictures.namelist()}
        found = log_probabilities(network, (picture(pictures.read(files[name])) for name in EMOJI))
    return figures(found, list(EMOJI.values()))


def of_cifar10(network: efficientnet_lite0.Lite0, archive: Path, each_class: int) -> dict[str, float]:
    """Figures of the first pictures of each class, among ten classes."""
    with zipfile.ZipFile(archive) as pictures:
        names = [f"{name}/{number:04d}.jpg" for name in CIFAR10 for number in range(each_class)]
        found = log_probabilities(network, (picture(pictures.read(name)) for name in names))
    sums = torch.stack([found[:, list(classes)].logsumexp(1) for classes in CIFAR10.values()], 1).log_softmax(1)
    return figures(sums, [(number,) for number in range(len(CIFAR10)) for _ in range(each_class)])


def symmetric(size: tuple[int, ...], kernel: int, stride: int) -> list[int]:
    """PyTorch's usual padding of half a kernel on every side."""
    return [kernel // 2] * 4


def main() -> None:
    """Measure both paddings."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--emoji", type=Path, required=True)
    parser.add_argument("--cifar10", type=Path, required=True)
    parser.add_argument("--each-class", type=int, default=50, help="pictures of each class of CIFAR-10")
    options = parser.parse_args()
    rows: dict[str, Any] = {}
    paddings: dict[str, Callable[..., list[int]]] = {
        "same (TensorFlow)": efficientnet_lite0.same_padding, "half a kernel (PyTorch)": symmetric
    }  # fmt: skip
    network = efficientnet_lite0.Lite0(lite0_weights())
    torch.set_num_threads(1)
    for name, padding in paddings.items():
        efficientnet_lite0.same_padding = padding
        rows[name] = {
            "photographs": of_photographs(network),
            "emoji": of_emoji(network, options.emoji),
            "cifar10": of_cifar10(network, options.cifar10, options.each_class),
        }
        print(name, json.dumps(rows[name]), flush=True)
    machine = f"{platform.machine()}, {os.cpu_count()} cores"
    result = {"date": datetime.now(UTC).date().isoformat(), "machine": machine, "side": SIDE, "rows": rows}
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
