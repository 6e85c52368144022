"""Published feature networks with weights from the user; nothing is downloaded, no code from files is executed."""

import tempfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, relu

from gancli.errors import FileFormatError
from gancli.evaluation.extractors import vision_transformer
from gancli.evaluation.extractors.base import Extractor, hash_of

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CLIP = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
TF_CLASSES = 1008
"""Outputs of the FID paper's Inception network, which distinguish it from torchvision's."""
Statistics = tuple[tuple[float, float, float], tuple[float, float, float]]
Weights = Mapping[str, Tensor]


class Preprocessed(nn.Module):
    """A published network with its preprocessing, for images in [-1, 1] of any size with 1, 3 or 4 channels.

    They are resized by antialiased bicubic interpolation and normalised. Grey becomes RGB, alpha is dropped.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, network: nn.Module, side: int, statistics: Statistics) -> None:
        super().__init__()
        self.network, self.side = network, side
        mean, deviation = (torch.tensor(each).view(3, 1, 1) for each in statistics)
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("deviation", deviation, persistent=False)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Images ``(N, C, H, W)`` in [-1, 1] -> features ``(N, d)``, and logits ``(N, classes)`` or None."""
        images = _three_channels(images)
        if images.shape[2:] != (self.side, self.side):
            images = interpolate(images, (self.side, self.side), mode="bicubic", antialias=True)
        normalised = ((images.clamp(-1, 1) + 1) / 2 - self.mean) / self.deviation
        output = self.network(normalised)
        return output if isinstance(output, tuple) else (output, None)


class PaperInception(nn.Module):
    """The Inception network of the FID paper, in torch-fidelity's port with its resizing; 2048 features."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Images ``(N, C, H, W)`` in [-1, 1] -> features ``(N, d)``, and logits ``(N, classes)`` or None."""
        pixels = (_three_channels(images).clamp(-1, 1) + 1).mul(127.5).round().to(torch.uint8)
        features, logits = self.network(pixels)
        return features, logits


def load(kind: str, path: Path, device: torch.device) -> Extractor:
    """The network ``inception``, ``clip``, ``vgg16`` or ``dinov2`` with the weights of a file.

    Raises:
        FileFormatError: the file is missing or damaged, contains more than tensors, or is of another network.
    """
    weights = _state_dict(path)
    try:
        network, distance_name = LOADERS[kind](weights)
    except (KeyError, ValueError, IndexError, AttributeError, RuntimeError) as error:
        raise FileFormatError(f"--weights {path} does not fit {kind}: {_reason(error)}.") from error
    network.eval().requires_grad_(False)
    return Extractor(f"{kind}_{hash_of(network)}", network.to(device), None, distance_name)


def _reason(error: Exception) -> str:
    """The first problem in torch's message."""
    if isinstance(error, KeyError):
        return f"it has no {error}"
    lines = str(error).strip().splitlines()
    return lines[min(1, len(lines) - 1)].strip().partition(",")[0].rstrip(". ") if lines else "it has other parts"


def _inception(weights: Weights) -> tuple[nn.Module, str]:
    if len(weights["fc.weight"]) == TF_CLASSES:
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3 as Network

        with tempfile.TemporaryDirectory() as folder:  # it unpickles a path: give it a file with tensors only
            torch.save(dict(weights), Path(folder, "weights.pth"))
            network = Network("inception", ["2048", "logits_unbiased"], str(Path(folder, "weights.pth")))
        return PaperInception(network), "fid"
    from torchvision.models import inception_v3

    network = inception_v3(weights=None, aux_logits=True, transform_input=False, init_weights=False)
    network.load_state_dict(weights)
    head, network.fc, network.AuxLogits = network.fc, nn.Identity(), None
    return Preprocessed(_WithHead(network, head), 299, ((0.5,) * 3, (0.5,) * 3)), "fd"


class _WithHead(nn.Module):
    def __init__(self, network: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.network, self.head = network, head

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        features = self.network(images)
        return features, self.head(features)


class _VGG(nn.Module):
    """VGG up to the second fully connected layer, 4096 features, as in Kynkaanniemi et al. 2019."""

    def __init__(self, features: nn.Module, pool: nn.Module, first: nn.Module, second: nn.Module) -> None:
        super().__init__()
        self.maps, self.first, self.second = nn.Sequential(features, pool), first, second

    def forward(self, images: Tensor) -> Tensor:
        flat = self.maps(images).flatten(1)
        return relu(self.second(relu(self.first(flat))))


def _vgg16(weights: Weights) -> tuple[nn.Module, str]:
    from torchvision.models import vgg16

    with torch.device("meta"):
        network = vgg16(weights=None)
    network.load_state_dict(weights, assign=True)
    layers = network.classifier
    return Preprocessed(_VGG(network.features, network.avgpool, layers[0], layers[3]), 224, IMAGENET), "fd"


def _clip(weights: Weights) -> tuple[nn.Module, str]:
    network, side, own = vision_transformer.clip(weights)
    network.load_state_dict(own)
    return Preprocessed(network, side, CLIP), "fd"


def _dinov2(weights: Weights) -> tuple[nn.Module, str]:
    network, side, own = vision_transformer.dinov2(weights)
    network.load_state_dict(own)
    return Preprocessed(network, side, IMAGENET), "fd"


def _three_channels(images: Tensor) -> Tensor:
    return images.expand(-1, 3, -1, -1) if images.shape[1] == 1 else images[:, :3]


def _state_dict(path: Path) -> dict[str, Tensor]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise FileFormatError(f"--weights {path}: {error.strerror}.") from error
    except Exception as error:
        hint = " (a TorchScript archive: save its state_dict() first)" if _is_script(path) else ""
        raise FileFormatError(f"--weights {path} is damaged or holds more than tensors{hint}.") from error
    nested = content.get("state_dict") if isinstance(content, dict) else None
    weights = nested if isinstance(nested, dict) else content
    if not isinstance(weights, dict) or not all(isinstance(value, Tensor) for value in weights.values()):
        raise FileFormatError(f"--weights {path} is not a dictionary of tensors.")
    return {
        str(name).removeprefix("module."): value.float() if value.is_floating_point() else value
        for name, value in weights.items()
    }


def _is_script(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


LOADERS: Mapping[str, Callable[[Weights], tuple[nn.Module, str]]] = {
    "inception": _inception,
    "clip": _clip,
    "vgg16": _vgg16,
    "dinov2": _dinov2,
}
