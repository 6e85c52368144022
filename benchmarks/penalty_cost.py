"""What R1 and R2 cost: D's gradients with them, in four passes and by double backward, over those of the loss alone.

    python benchmarks/penalty_cost.py --threads 1 2

Eager and compiled, in turns; ratios of medians, beside the ratios of the operations counted. Prints a table and writes
benchmarks/penalty_cost.json.
"""

import argparse
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from example_loops import BATCH_SIZE
from step_timing import flops, in_turns
from torch import Tensor, nn

from gancli.functional import losses, penalties
from gancli.machine import cores, devices, matmul
from gancli.models import convolutional
from gancli.recipes.base import Spec
from gancli.recipes.r3gan import R3GAN
from gancli.runs import compile_choice
from gancli.steps.traces import compiled_by_torch, written_down

CPU = torch.device("cpu")
GAMMA = 4.0


def discriminators() -> dict[str, tuple[nn.Module, Spec]]:
    """That of the default for digits, DCGAN's without normalisation, and R3GAN's residual one, 64 channels wide."""
    grey, colour = Spec(1, 28, 28), Spec(3, 32, 32)
    perceptron, residual = (
        R3GAN(network=kind).fitted(spec, 60_000, 10**6).networks(spec)[1]
        for kind, spec in (("perceptron", grey), ("residual", colour))
    )
    return {
        "perceptron 28x28": (perceptron, grey),
        "convolutions 32x32": (convolutional.Discriminator(64, colour.shape, norm="none"), colour),
        "residual 32x32": (residual, colour),
    }


def alone(d: nn.Module, images: Tensor) -> Tensor:
    """The pairing loss; the first half of the images is real."""
    return losses.relativistic_d(*d(images, None).chunk(2))


def penalised(logits: Tensor, squares: Tensor) -> Tensor:
    """The pairing loss with R1 and R2, from halves of the squared gradients ``(N,)``."""
    return losses.relativistic_d(*logits.chunk(2)) + GAMMA * sum(half.mean() for half in squares.chunk(2))


def four_passes(d: nn.Module, images: Tensor) -> Tensor:
    """With R1 and R2 as gancli computes them."""
    return penalised(*penalties.zero_centred_with_logits(d, images, None))


def double_backward(d: nn.Module, images: Tensor) -> Tensor:
    """With R1 and R2 as they are usually computed."""
    points = images.detach().requires_grad_()
    logits = d(points, None)
    (gradient,) = torch.autograd.grad(logits.sum(), points, create_graph=True)
    return penalised(logits, 0.5 * gradient.flatten(1).square().sum(1))


WAYS = {"loss alone": alone, "four passes": four_passes, "double backward": double_backward}
ENDS = ("", ", compiled")


def gradients(loss_of: Callable[[nn.Module, Tensor], Tensor], d: nn.Module) -> Callable[[Tensor], list[Tensor]]:
    """A function of images that gives the gradient of every weight."""
    weights = list(d.parameters())
    return lambda images: [
        g for g in torch.autograd.grad(loss_of(d, images), weights, allow_unused=True) if g is not None
    ]


def without_graph(function: Callable[[Tensor], list[Tensor]]) -> Callable[[Tensor], list[Tensor]]:
    """The same, not to be differentiated again."""

    def called(images: Tensor) -> list[Tensor]:
        with torch.no_grad():
            return function(images)

    return called


def measure(name: str, threads: int, rounds: int) -> dict[str, Any]:
    """One row."""
    torch.manual_seed(0)
    d, spec = discriminators()[name]
    d = devices.place(d, CPU)
    images = torch.rand(2 * BATCH_SIZE, *spec.shape) * 2 - 1
    steps: dict[str, Callable[[], object]] = {}
    plain = {way: gradients(loss_of, d) for way, loss_of in WAYS.items()}
    traced = {way: written_down(function, [images]) for way, function in plain.items()}
    for way, function in plain.items():
        faster = without_graph(compiled_by_torch(traced[way]))
        for ours, theirs in zip(faster(images), function(images), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)
        for end, each in zip(ENDS, (function, faster), strict=True):
            steps[way + end] = lambda f=each: f(images)
    counted = {way: flops(steps[way]) for way in WAYS}
    seconds = in_turns(steps, rounds, 3, CPU)
    return {
        "discriminator": name,
        "threads": threads,
        "milliseconds": {each: round(1e3 * value, 3) for each, value in seconds.items()},
        "operations": {way: round(counted[way] / counted["loss alone"], 2) for way in WAYS},
        "times_the_loss_alone": {
            way + end: round(seconds[way + end] / seconds["loss alone" + end], 2) for way in WAYS for end in ENDS
        },
        "date": datetime.now(UTC).date().isoformat(),
    }


def main() -> None:
    """Measure every discriminator with each number of threads."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    options = parser.parse_args()
    compile_choice.use_cache()
    rows = []
    for threads in options.threads:
        torch.set_num_threads(threads)
        matmul.use(matmul.best(cores.processor()))
        rows += [measure(name, threads, options.rounds) for name in discriminators()]
    facts = {"torch": torch.__version__, "processor": cores.processor(), "rows": rows}
    options.out.write_text(json.dumps(facts, indent=1) + "\n")
    shown = [way + end for end in ENDS for way in list(WAYS)[1:]]
    print("| discriminator | threads | operations | " + " | ".join(shown) + " |\n" + "|---" * (len(shown) + 3) + "|")
    for row in rows:
        ratios = " | ".join(f"{row['times_the_loss_alone'][way]:.2f}" for way in shown)
        print(f"| {row['discriminator']} | {row['threads']} | {row['operations']['four passes']} | {ratios} |")


if __name__ == "__main__":
    main()
