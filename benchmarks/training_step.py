"""A training step of gancli against the loop that people copy from tutorials, interleaved, on 28x28 images.

    python benchmarks/training_step.py --threads 1

Prints medians and their ratio, and writes benchmarks/training_step.json.
"""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from torchvision import transforms

from gancli.recipes.base import Spec
from gancli.recipes.vanilla import Discriminator, Generator, Vanilla
from gancli.training import state as training_state
from gancli.training.batches import Noise, ResidentImages
from gancli.training.step import Step

BATCH_SIZE = 64
SPEC = Spec(1, 28, 28)


def plain_step(images: torch.Tensor) -> Callable[[], None]:
    """The loop of tutorials: PIL images decoded one by one in a DataLoader, two passes through D, default Adam."""
    from PIL import Image

    to_tensor = transforms.ToTensor()
    dataset = TensorDataset(images)
    loader = DataLoader(
        dataset, BATCH_SIZE, shuffle=True, drop_last=True,
        collate_fn=lambda rows: torch.stack([to_tensor(Image.fromarray(row[0][0].numpy())) for row in rows]),
    )  # fmt: skip
    g, d, bce = Generator(100, SPEC), Discriminator(SPEC), nn.BCEWithLogitsLoss()
    adam_g, adam_d = (torch.optim.Adam(network.parameters(), lr=2e-4) for network in (g, d))
    batches = iter(loader)

    def step() -> None:
        nonlocal batches
        try:
            real = next(batches)
        except StopIteration:
            batches = iter(loader)
            real = next(batches)
        ones, zeros = torch.ones(BATCH_SIZE), torch.zeros(BATCH_SIZE)
        adam_g.zero_grad()
        fake = g(torch.randn(BATCH_SIZE, 100))
        g_loss = bce(d(fake), ones)
        g_loss.backward()
        adam_g.step()
        adam_d.zero_grad()
        d_loss = 0.5 * (bce(d(2 * real - 1), ones) + bce(d(fake.detach()), zeros))
        d_loss.backward()
        adam_d.step()
        g_loss.item(), d_loss.item()

    return step


def gancli_step(images: torch.Tensor) -> Callable[[], object]:
    """The same networks, loss and optimizer in gancli's step, which also keeps the average of G."""
    recipe, cpu = Vanilla(), torch.device("cpu")
    state = training_state.create(recipe, SPEC, 0, cpu, "fp32")
    return Step(recipe, state, ResidentImages(images, None, BATCH_SIZE, 0), Noise(100, 0, BATCH_SIZE, 0, cpu))


def main() -> None:
    """Time both in turns."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--steps", type=int, default=20, help="steps of each kind in a round")
    options = parser.parse_args()
    images = torch.randint(0, 256, (6400, 1, 28, 28), dtype=torch.uint8)
    results = []
    for threads in options.threads:
        torch.set_num_threads(threads)
        steps = {"plain": plain_step(images), "gancli": gancli_step(images)}
        seconds: dict[str, list[float]] = {name: [] for name in steps}
        for _ in range(options.rounds):
            for name, step in steps.items():
                began = time.perf_counter()
                for _ in range(options.steps):
                    step()
                seconds[name].append((time.perf_counter() - began) / options.steps)
        medians = {name: statistics.median(values) for name, values in seconds.items()}
        results.append(
            {
                "threads": threads,
                "milliseconds": {name: round(1e3 * value, 3) for name, value in medians.items()},
                "times_faster": round(medians["plain"] / medians["gancli"], 2),
                "torch": torch.__version__,
                "machine": platform.machine(),
                "date": datetime.now(UTC).date().isoformat(),
            }
        )
        print(json.dumps(results[-1]), flush=True)
    Path(__file__).with_suffix(".json").write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
