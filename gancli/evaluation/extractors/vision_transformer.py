"""Vision transformers with sizes from their weights: OpenAI's CLIP image encoder and DINOv2."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

HEAD_WIDTH = 64
"""Width of an attention head in all published CLIP ViTs and DINOv2s."""
DINO_SIDE = 224
DINO_OFFSET = 0.1
"""DINOv2's code adds this to the number of patches before it resizes position embeddings."""
Weights = Mapping[str, Tensor]


class QuickGELU(nn.Module):
    """``x sigmoid(1.702 x)``, the activation of OpenAI's CLIP."""

    def forward(self, x: Tensor) -> Tensor:
        """Any shape."""
        return x * torch.sigmoid(1.702 * x)


class TransformerBlock(nn.Module):
    """Attention, then a perceptron, both residual on normalised tokens ``(N, T, width)``."""

    def __init__(self, width: int, hidden: int, activation: nn.Module, epsilon: float, scaled: bool) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width, epsilon), nn.LayerNorm(width, epsilon)
        self.attention = nn.MultiheadAttention(width, max(1, width // HEAD_WIDTH), batch_first=True)
        self.perceptron = nn.Sequential(nn.Linear(width, hidden), activation, nn.Linear(hidden, width))
        self.scale1, self.scale2 = (nn.Parameter(torch.ones(width if scaled else 1)) for _ in range(2))

    def forward(self, tokens: Tensor) -> Tensor:
        """Same shape."""
        normed = self.norm1(tokens)
        tokens = tokens + self.scale1 * self.attention(normed, normed, normed, need_weights=False)[0]
        return tokens + self.scale2 * self.perceptron(self.norm2(tokens))


class VisionTransformer(nn.Module):
    """Normalised images ``(N, 3, side, side)`` -> the class token's features ``(N, d)``."""

    def __init__(
        self, width: int, patch: int, tokens: int, depth: int, hidden: int, activation: nn.Module, epsilon: float,
        is_clip: bool, out: int = 0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.patches = nn.Conv2d(3, width, patch, patch, bias=not is_clip)
        self.token = nn.Parameter(torch.zeros(width))
        self.positions = nn.Parameter(torch.zeros(tokens, width))
        self.before = nn.LayerNorm(width, epsilon) if is_clip else nn.Identity()
        self.blocks = nn.Sequential(
            *(TransformerBlock(width, hidden, activation, epsilon, not is_clip) for _ in range(depth))
        )
        self.after = nn.LayerNorm(width, epsilon)
        self.to_text_space = nn.Parameter(torch.zeros(width, out)) if out else None

    def forward(self, images: Tensor) -> Tensor:
        """Normalised images ``(N, 3, side, side)`` -> features ``(N, d)``."""
        patches = self.patches(images).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.token.expand(len(images), 1, -1), patches], 1) + self.positions
        features = self.after(self.blocks(self.before(tokens))[:, 0])
        return features if self.to_text_space is None else features @ self.to_text_space


def clip(weights: Weights) -> tuple[VisionTransformer, int, dict[str, Tensor]]:
    """The network, its input's side, and its weights, from the ``visual.`` part of a CLIP state dict.

    Radford et al. 2021 (arXiv:2103.00020). KeyError if a weight is missing.
    """
    own = {name.removeprefix("visual."): value for name, value in weights.items() if name.startswith("visual.")}
    width, patch, tokens = _sizes(own["conv1.weight"], own["positional_embedding"])
    depth = _depth(own, "transformer.resblocks.")
    hidden, out = len(own["transformer.resblocks.0.mlp.c_fc.weight"]), own["proj"].shape[1]
    network = VisionTransformer(width, patch, tokens, depth, hidden, QuickGELU(), 1e-5, True, out)
    names = {
        "conv1.weight": "patches.weight", "class_embedding": "token", "positional_embedding": "positions",
         "ln_pre.": "before.", "ln_post.": "after.", "transformer.resblocks.": "blocks.",
        ".ln_1.": ".norm1.", ".ln_2.": ".norm2.", ".attn.": ".attention.",
        ".mlp.c_fc.": ".perceptron.0.", ".mlp.c_proj.": ".perceptron.2.",
    }  # fmt: skip
    ones = {f"blocks.{n}.scale{k}": torch.ones(1) for n in range(depth) for k in (1, 2)}
    renamed = _renamed({name: value for name, value in own.items() if name != "proj"}, names)
    return network, round((tokens - 1) ** 0.5) * patch, renamed | ones | {"to_text_space": own["proj"]}


def dinov2(weights: Weights) -> tuple[VisionTransformer, int, dict[str, Tensor]]:
    """The network, its input's side (224), and its weights, from a DINOv2 backbone's state dict without registers.

    Oquab et al. 2023 (arXiv:2304.07193). KeyError if a weight is missing.
    """
    own = {name: value for name, value in weights.items() if name != "mask_token"}
    width, patch, _ = _sizes(own["patch_embed.proj.weight"], own["pos_embed"][0])
    depth, hidden = _depth(own, "blocks."), len(own["blocks.0.mlp.fc1.weight"])
    own |= {"cls_token": own["cls_token"].flatten(), "pos_embed": _resized(own["pos_embed"][0], DINO_SIDE // patch)}
    network = VisionTransformer(width, patch, len(own["pos_embed"]), depth, hidden, nn.GELU(), 1e-6, False)
    names = {
        "patch_embed.proj.": "patches.", "cls_token": "token", "pos_embed": "positions",
        ".attn.qkv.weight": ".attention.in_proj_weight", ".attn.qkv.bias": ".attention.in_proj_bias",
        ".attn.proj.": ".attention.out_proj.", ".mlp.fc1.": ".perceptron.0.", ".mlp.fc2.": ".perceptron.2.",
        ".ls1.gamma": ".scale1", ".ls2.gamma": ".scale2",
    }  # fmt: skip
    renamed = _renamed(own, names)
    return (
        network,
        DINO_SIDE // patch * patch,
        {
            name.replace("norm.", "after.") if name.startswith("norm.") else name: value
            for name, value in renamed.items()
        },
    )


def _sizes(patches: Tensor, positions: Tensor) -> tuple[int, int, int]:
    return patches.shape[0], patches.shape[2], positions.shape[0]


def _depth(weights: Weights, prefix: str) -> int:
    return 1 + max(int(name.removeprefix(prefix).split(".")[0]) for name in weights if name.startswith(prefix))


def _renamed(weights: Weights, names: Mapping[str, str]) -> dict[str, Tensor]:
    renamed = {}
    for name, value in weights.items():
        for old, new in names.items():
            name = name.replace(old, new)
        renamed[name] = value
    return renamed


def _resized(positions: Tensor, side: int) -> Tensor:
    """Position embeddings ``(1 + s * s, width)`` for ``side`` patches a side, as DINOv2 resizes them."""
    given = round((len(positions) - 1) ** 0.5)
    if given == side:
        return positions
    grid = positions[1:].float().T.reshape(1, -1, given, given)
    factor = (side + DINO_OFFSET) / given
    grid = interpolate(grid, scale_factor=factor, mode="bicubic")
    return torch.cat([positions[:1].float(), grid.flatten(2)[0].T])
