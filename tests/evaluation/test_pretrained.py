"""Published networks from files of weights: right shapes are computed with, all else is refused in one line."""

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from gancli.errors import FileFormatError
from gancli.evaluation import extract
from gancli.evaluation.extractors import pretrained
from gancli.evaluation.extractors.vision_transformer import QuickGELU

CPU = torch.device("cpu")
WIDTH, PATCH, DEPTH, OUT = 128, 14, 2, 24


def drawn(*shape: int) -> Tensor:
    return 0.05 * torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


def clip_weights(side: int = 4) -> dict[str, Tensor]:
    weights = {
        "conv1.weight": drawn(WIDTH, 3, PATCH, PATCH), "class_embedding": drawn(WIDTH),
        "positional_embedding": drawn(side * side + 1, WIDTH), "proj": drawn(WIDTH, OUT),
    }  # fmt: skip
    for name in ("ln_pre", "ln_post", *(f"transformer.resblocks.{n}.ln_{k}" for n in range(DEPTH) for k in (1, 2))):
        weights |= {f"{name}.weight": 1 + drawn(WIDTH), f"{name}.bias": drawn(WIDTH)}
    for number in range(DEPTH):
        block = f"transformer.resblocks.{number}"
        for name, out, inner in (("attn.in_proj_", 3 * WIDTH, WIDTH), ("attn.out_proj.", WIDTH, WIDTH),
                                 ("mlp.c_fc.", 4 * WIDTH, WIDTH), ("mlp.c_proj.", WIDTH, 4 * WIDTH)):  # fmt: skip
            weights |= {f"{block}.{name}weight": drawn(out, inner), f"{block}.{name}bias": drawn(out)}
    return {f"visual.{name}": value for name, value in weights.items()} | {"logit_scale": torch.ones(())}


def dino_weights(side: int = 16) -> dict[str, Tensor]:
    weights = {
        "cls_token": drawn(1, 1, WIDTH), "pos_embed": drawn(1, side * side + 1, WIDTH), "mask_token": drawn(1, WIDTH),
        "patch_embed.proj.weight": drawn(WIDTH, 3, PATCH, PATCH), "patch_embed.proj.bias": drawn(WIDTH),
        "norm.weight": 1 + drawn(WIDTH), "norm.bias": drawn(WIDTH),
    }  # fmt: skip
    for number in range(DEPTH):
        for name in ("norm1", "norm2"):
            weights |= {
                f"blocks.{number}.{name}.weight": 1 + drawn(WIDTH),
                f"blocks.{number}.{name}.bias": drawn(WIDTH),
            }
        for name, out, inner in (("attn.qkv", 3 * WIDTH, WIDTH), ("attn.proj", WIDTH, WIDTH),
                                 ("mlp.fc1", 4 * WIDTH, WIDTH), ("mlp.fc2", WIDTH, 4 * WIDTH)):  # fmt: skip
            weights |= {f"blocks.{number}.{name}.weight": drawn(out, inner), f"blocks.{number}.{name}.bias": drawn(out)}
        weights |= {f"blocks.{number}.ls{k}.gamma": 0.5 + drawn(WIDTH) for k in (1, 2)}
    return weights


def saved(weights: dict[str, Tensor], folder: Path) -> Path:
    torch.save(weights, folder / "weights.pth")
    return folder / "weights.pth"


def attention(x: Tensor, w: dict[str, Tensor], qkv: str, out: str, joint: str) -> Tensor:
    """Two heads of 64, written out."""
    q, k, v = (
        (x @ w[f"{qkv}{joint}weight"].T + w[f"{qkv}{joint}bias"]).view(*x.shape[:2], 3, 2, 64).permute(2, 0, 3, 1, 4)
    )
    mixed = (q @ k.mT / math.sqrt(64)).softmax(-1) @ v
    return mixed.transpose(1, 2).flatten(2) @ w[f"{out}.weight"].T + w[f"{out}.bias"]


def norm(x: Tensor, w: dict[str, Tensor], name: str, epsilon: float) -> Tensor:
    return nn.functional.layer_norm(x, (WIDTH,), w[f"{name}.weight"], w[f"{name}.bias"], epsilon)


def linear(x: Tensor, w: dict[str, Tensor], name: str) -> Tensor:
    return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]


def test_clip_is_the_published_arithmetic(tmp_path: Path) -> None:
    weights = clip_weights()
    extractor = pretrained.load("clip", saved(weights, tmp_path), CPU)
    images = torch.rand(3, 3, 56, 56, generator=torch.Generator().manual_seed(0))
    mean, deviation = (torch.tensor(each).view(3, 1, 1) for each in pretrained.CLIP)
    w = {name.removeprefix("visual."): value for name, value in weights.items()}
    patches = nn.functional.conv2d((images - mean) / deviation, w["conv1.weight"], stride=PATCH).flatten(2).mT
    x = torch.cat([w["class_embedding"].expand(3, 1, -1), patches], 1) + w["positional_embedding"]
    x = norm(x, w, "ln_pre", 1e-5)
    for number in range(DEPTH):
        b = f"transformer.resblocks.{number}"
        x = x + attention(norm(x, w, f"{b}.ln_1", 1e-5), w, f"{b}.attn.", f"{b}.attn.out_proj", "in_proj_")
        x = x + linear(QuickGELU()(linear(norm(x, w, f"{b}.ln_2", 1e-5), w, f"{b}.mlp.c_fc")), w, f"{b}.mlp.c_proj")
    expected = norm(x[:, 0], w, "ln_post", 1e-5) @ w["proj"]
    found, logits = extractor.network(2 * images - 1)
    assert logits is None
    assert torch.allclose(found, expected, atol=1e-4)


def test_dinov2_is_the_published_arithmetic(tmp_path: Path) -> None:
    w = dino_weights()
    extractor = pretrained.load("dinov2", saved(w, tmp_path), CPU)
    images = torch.rand(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    mean, deviation = (torch.tensor(each).view(3, 1, 1) for each in pretrained.IMAGENET)
    maps = nn.functional.conv2d(
        (images - mean) / deviation, w["patch_embed.proj.weight"], w["patch_embed.proj.bias"], PATCH
    )
    x = torch.cat([w["cls_token"].expand(2, 1, -1), maps.flatten(2).mT], 1) + w["pos_embed"]
    for number in range(DEPTH):
        b = f"blocks.{number}"
        x = x + w[f"{b}.ls1.gamma"] * attention(
            norm(x, w, f"{b}.norm1", 1e-6), w, f"{b}.attn.", f"{b}.attn.proj", "qkv."
        )
        hidden = nn.functional.gelu(linear(norm(x, w, f"{b}.norm2", 1e-6), w, f"{b}.mlp.fc1"))
        x = x + w[f"{b}.ls2.gamma"] * linear(hidden, w, f"{b}.mlp.fc2")
    found, _ = extractor.network(2 * images - 1)
    assert torch.allclose(found, norm(x, w, "norm", 1e-6)[:, 0], atol=1e-4)


def test_dinov2_positions_of_the_published_size_are_resized(tmp_path: Path) -> None:
    extractor = pretrained.load("dinov2", saved(dino_weights(37), tmp_path), CPU)
    features = extract(torch.zeros(2, 1, 28, 28, dtype=torch.uint8), extractor, "generated")
    assert features.values.shape == (2, WIDTH)


def test_the_fid_papers_inception_alone_gives_what_is_called_fid(tmp_path: Path) -> None:
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
    from torchvision.models import inception_v3

    theirs = inception_v3(weights=None, init_weights=False, transform_input=False).eval()
    path = saved(theirs.state_dict(), tmp_path)
    found = pretrained.load("inception", path, CPU)
    assert found.distance_name == "fd"
    images = torch.rand(2, 3, 299, 299) * 2 - 1
    features, logits = found.network(images)
    assert features.shape == (2, 2048)
    assert torch.allclose(logits, theirs(images), atol=1e-4)
    own = {k: v for k, v in theirs.state_dict().items() if not k.startswith("AuxLogits")}
    torch.save(own | {"fc.weight": drawn(1008, 2048), "fc.bias": drawn(1008)}, path)
    paper = pretrained.load("inception", path, CPU)
    assert paper.distance_name == "fid"
    assert paper.name.startswith("inception_")
    pixels = torch.randint(0, 256, (2, 3, 40, 40), dtype=torch.uint8)
    direct = FeatureExtractorInceptionV3("x", ["2048"], str(path))(pixels)[0]
    assert torch.allclose(extract(pixels, paper, "generated").values, direct.double(), atol=1e-5)


def test_vgg16_gives_its_second_layer(tmp_path: Path) -> None:
    from torchvision.models import vgg16

    with torch.device("meta"):
        shapes = vgg16(weights=None).state_dict()
    weights = {name: torch.tensor(1e-3, dtype=torch.half).expand(value.shape) for name, value in shapes.items()}
    found = pretrained.load("vgg16", saved(weights, tmp_path), CPU)
    features = extract(torch.zeros(1, 3, 32, 32, dtype=torch.uint8), found, "generated")
    assert features.values.shape == (1, 4096)
    assert features.values.min() >= 0


class _Trap:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.path,)  # type: ignore[return-value]


@pytest.mark.parametrize("kind", list(pretrained.LOADERS))
def test_weights_of_something_else_are_refused(kind: str, tmp_path: Path) -> None:
    for content in ({"a": torch.zeros(3)}, [torch.zeros(2)], {"a": "text"}, {"code": _Trap(tmp_path / "sprung")}):
        torch.save(content, tmp_path / "weights.pth")
        with pytest.raises(FileFormatError, match=r"--weights .*weights\.pth") as caught:
            pretrained.load(kind, tmp_path / "weights.pth", CPU)
        assert "\n" not in str(caught.value)
    (tmp_path / "weights.pth").write_bytes(b"PK\x03\x04 no archive")
    with pytest.raises(FileFormatError, match="damaged"):
        pretrained.load(kind, tmp_path / "weights.pth", CPU)
    with pytest.raises(FileFormatError, match="No such file"):
        pretrained.load(kind, tmp_path / "missing.pth", CPU)
    assert not (tmp_path / "sprung").exists()


def test_a_missing_layer_is_named(tmp_path: Path) -> None:
    weights = clip_weights()
    del weights["visual.ln_post.bias"]
    with pytest.raises(FileFormatError, match=r"after\.bias"):
        pretrained.load("clip", saved(weights, tmp_path), CPU)
