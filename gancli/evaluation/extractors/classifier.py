"""The extractors of a data set: a small classifier trained on it, ImageNet features, or random convolutions."""

import logging
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, interpolate

from gancli.errors import FileFormatError
from gancli.evaluation.extractors.base import Extractor, hash_of
from gancli.evaluation.extractors.imagenet import CHANNELS, imagenet_extractor
from gancli.files import torch_file
from gancli.functional.pixels import to_floats
from gancli.randomness import generator, key

log = logging.getLogger(__name__)
KIND = "gancli-extractor"
VERSION = 1
ACCURACY_BAR = 0.98
"""Below this held-out accuracy there is a warning."""
FEATURES = 64
"""Number of features."""
MAX_SIDE = 64
"""Larger images are shrunk to this side."""
PIXEL_SIDE = 16
"""Side to which pixels are averaged where they are compared."""
WIDTHS = (32, 64, 64, 64)
MAX_LAST_MAP = 7
"""Convolutions halve the map until its shorter side is at most this; there are at least two."""
SHOWN_IMAGES = 120_000
"""Training images shown to the classifier in total."""
BATCH_SIZE = 128


class ConvNet(nn.Module):
    """Strided convolutions down to a few pixels, then a layer of features; with ``classes`` also logits."""

    def __init__(self, channels: int, height: int, width: int, classes: int) -> None:
        super().__init__()
        stages: list[nn.Module] = []
        for before, after in pairwise((channels, *WIDTHS)):
            stages += [nn.Conv2d(before, after, 5, 2, 2, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
            height, width, depth = (height + 1) // 2, (width + 1) // 2, after
            if depth > WIDTHS[0] and min(height, width) <= MAX_LAST_MAP:
                break
        self.stages = nn.Sequential(*stages)
        self.features = nn.Sequential(nn.Linear(depth * height * width, FEATURES), nn.ReLU())
        self.logits = nn.Linear(FEATURES, classes) if classes else None

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Images ``(N, C, H, W)`` in [-1, 1] -> features ``(N, d)``, and logits ``(N, classes)`` or None."""
        features = self.features(self.stages(images).flatten(1))
        return features, None if self.logits is None else self.logits(features)


class Shrinking(nn.Module):
    """Shrinks images to ``size``, antialiased, before the network."""

    def __init__(self, network: nn.Module, size: tuple[int, int]) -> None:
        super().__init__()
        self.network, self.size = network, size

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Images ``(N, C, H, W)`` in [-1, 1] -> features ``(N, d)``, and logits ``(N, classes)`` or None."""
        if images.shape[2:] != self.size:
            images = interpolate(images, self.size, mode="bilinear", antialias=True)
        return self.network(images)


def extractor_for(
    train_images: Tensor,
    train_labels: Tensor | None,
    heldout_images: Tensor,
    heldout_labels: Tensor | None,
    fingerprint: str,
    device: torch.device,
    cache: Path,
    seed: int = 0,
) -> Extractor:
    """The extractor of a data set.

    With labels it is a classifier, from the cache folder or trained on the training images and kept there. Without
    labels it is a network trained on ImageNet, or random convolutions for images with other channels than grey, RGB or
    RGBA. Images are uint8 ``(N, C, H, W)``, labels int64 ``(N,)``. A cache that cannot be read or written gives a
    warning.
    """
    if train_labels is None or heldout_labels is None:
        usual = train_images.shape[1] in CHANNELS
        return imagenet_extractor(device) if usual else random_extractor(train_images.shape, seed, device)
    network = _network(train_images.shape, int(train_labels.max()) + 1, seed)
    path = cache / f"lenet-{fingerprint}-{seed}.pth"
    accuracy = _restore(network, path)
    if accuracy is None:
        log.info("training the feature classifier on %d images, once (kept in %s)", len(train_images), path)
        train_classifier(network.to(device), train_images, train_labels, seed)
        accuracy = measure_accuracy(network, heldout_images, heldout_labels)
        _keep(network, accuracy, path)
    if accuracy < ACCURACY_BAR:
        log.warning("the feature classifier is right on only %.1f %% of held-out images.", 100 * accuracy)
    return Extractor(f"lenet_{hash_of(network)}", network.to(device), accuracy)


def random_extractor(shape: torch.Size, seed: int = 0, device: torch.device | str = "cpu") -> Extractor:
    """A convolutional network with weights drawn from the seed, for images of this shape ``(N, C, H, W)``."""
    network = _network(shape, 0, seed)
    return Extractor(f"randconv_{hash_of(network)}", network.to(device), None)


def train_classifier(network: nn.Module, images: Tensor, labels: Tensor, seed: int) -> None:
    """Train in place by Adam with a one-cycle learning rate, on randomly shifted images; leaves evaluation mode on.

    ``images`` are uint8 ``(N, C, H, W)``, ``labels`` int64 ``(N,)``. The same seed gives the same weights.
    """
    device = next(network.parameters()).device
    steps = min(SHOWN_IMAGES, 60 * len(images)) // BATCH_SIZE
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-3, weight_decay=1e-4)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=max(2, steps))
    drawn = generator(seed, "classifier")
    network.train()
    for _ in range(max(2, steps)):
        rows = torch.randint(len(images), (BATCH_SIZE,), generator=drawn)
        shift = torch.randint(-1, 2, (2,), generator=drawn).tolist()
        batch = to_floats(images[rows].roll(shift, (2, 3)), device)
        loss = cross_entropy(network(batch)[1], labels[rows].to(device), label_smoothing=0.05)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        rate.step()
    network.eval()


@torch.inference_mode()
def measure_accuracy(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Share of uint8 images ``(N, C, H, W)`` whose largest logit is that of their label."""
    device = next(network.parameters()).device
    guesses = [network(to_floats(batch, device))[1].argmax(1).cpu() for batch in images.split(512)]
    return (torch.cat(guesses) == labels).double().mean().item()


def _network(shape: torch.Size, classes: int, seed: int) -> nn.Module:
    _, channels, height, width = shape
    shrink = min(1.0, MAX_SIDE / max(height, width))
    size = (max(1, round(height * shrink)), max(1, round(width * shrink)))
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(key(seed, "extractor"))
        return Shrinking(ConvNet(channels, *size, classes), size).eval().requires_grad_(classes > 0)


def _restore(network: nn.Module, path: Path) -> float | None:
    if not path.exists():
        return None
    try:
        content = torch_file.load(path, KIND, VERSION)
        network.load_state_dict(content["weights"])
        return float(content["accuracy"])
    except (FileFormatError, KeyError, TypeError, ValueError, RuntimeError) as error:
        log.warning("the cached feature classifier is not used: %s", str(error).splitlines()[0])
        return None


def _keep(network: nn.Module, accuracy: float, path: Path) -> None:
    weights = {name: value.cpu() for name, value in network.state_dict().items()}
    try:
        torch_file.save(path, KIND, VERSION, {"weights": weights, "accuracy": accuracy})
    except OSError as error:
        log.warning("the feature classifier cannot be kept in %s: %s.", path, error.strerror)
