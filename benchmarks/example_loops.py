"""The loops that people copy: a tutorial's perceptron GAN and the usual DCGAN, as plainly as they are written there."""

from collections.abc import Callable, Iterator

import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset
from torchvision import transforms

BATCH_SIZE = 64
Step = Callable[[], object]


def batches(images: Tensor, batch_size: int = BATCH_SIZE) -> Iterator[Tensor]:
    """Float batches in [-1, 1] without end, each picture opened with PIL in the loading process."""
    to_tensor = transforms.Compose([transforms.ToTensor(), transforms.Lambda(lambda image: 2 * image - 1)])

    def collate(rows: list[tuple[Tensor]]) -> Tensor:
        arrays = [row[0].permute(1, 2, 0).squeeze(2).numpy() for row in rows]
        return torch.stack([to_tensor(Image.fromarray(array)) for array in arrays])

    loader = DataLoader(TensorDataset(images), batch_size, shuffle=True, drop_last=True, collate_fn=collate)
    while True:
        yield from loader


def resident_batches(images: Tensor, batch_size: int = BATCH_SIZE) -> Iterator[Tensor]:
    """The same batches from uint8 images that lie on the device already, so that nothing is loaded."""
    while True:
        for rows in torch.randperm(len(images), device=images.device).split(batch_size):
            if len(rows) == batch_size:
                yield images[rows].float() / 127.5 - 1


def perceptrons(images: Tensor, device: torch.device) -> Step:
    """100-256-512-784 against 784-512-256-1, G's step first, D's on the same fakes, Adam as it comes."""
    g = nn.Sequential(
        nn.Linear(100, 256), nn.ReLU(), nn.Linear(256, 512), nn.ReLU(), nn.Linear(512, 784), nn.Sigmoid()
    )  # fmt: skip
    d = nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 256), nn.ReLU(), nn.Linear(256, 1))
    g, d = g.to(device), d.to(device)
    adam_g, adam_d = (torch.optim.Adam(network.parameters(), lr=2e-4) for network in (g, d))
    bce, source = nn.BCEWithLogitsLoss(), batches(images)

    def step() -> None:
        real = 0.5 * next(source).flatten(1).to(device) + 0.5
        ones, zeros = torch.ones(len(real), 1, device=device), torch.zeros(len(real), 1, device=device)
        adam_g.zero_grad()
        fake = g(torch.randn(len(real), 100, device=device))
        g_loss = bce(d(fake), ones)
        g_loss.backward()
        adam_g.step()
        adam_d.zero_grad()
        d_loss = 0.5 * (bce(d(real), ones) + bce(d(fake.detach()), zeros))
        d_loss.backward()
        adam_d.step()
        g_loss.item(), d_loss.item()

    return step


def dcgan_networks(size: int, width: int = 64) -> tuple[nn.Module, nn.Module]:
    """The usual stack of strided convolutions from a 1 x 1 latent, for pictures of 32 or 64 pixels."""
    stages = 2 if size == 32 else 3
    g: list[nn.Module] = []
    channels = 100
    for stage in range(stages + 1):
        after = width * 2 ** (stages - stage)
        first = (4, 1, 0) if stage == 0 else (4, 2, 1)
        g += [nn.ConvTranspose2d(channels, after, *first, bias=False), nn.BatchNorm2d(after), nn.ReLU(True)]
        channels = after
    g += [nn.ConvTranspose2d(channels, 3, 4, 2, 1, bias=False), nn.Tanh()]
    d: list[nn.Module] = [nn.Conv2d(3, width, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, True)]
    for stage in range(stages):
        before, after = width * 2**stage, width * 2 ** (stage + 1)
        d += [nn.Conv2d(before, after, 4, 2, 1, bias=False), nn.BatchNorm2d(after), nn.LeakyReLU(0.2, True)]
    d += [nn.Conv2d(width * 2**stages, 1, 4, 1, 0, bias=False), nn.Sigmoid(), nn.Flatten(0)]
    return nn.Sequential(*g), nn.Sequential(*d)


def dcgan(images: Tensor, device: torch.device, source: Iterator[Tensor] | None = None) -> Step:
    """D on real, D on fake, then G through D once more; cross-entropy of sigmoids, a number read off each loss.

    ``source`` gives the batches in place of the usual loader.
    """
    g, d = (network.to(device) for network in dcgan_networks(images.shape[2]))
    adam_g, adam_d = (torch.optim.Adam(n.parameters(), lr=2e-4, betas=(0.5, 0.999)) for n in (g, d))
    bce, source = nn.BCELoss(), source or batches(images)

    def step() -> None:
        real = next(source).to(device)
        ones, zeros = torch.ones(len(real), device=device), torch.zeros(len(real), device=device)
        d.zero_grad()
        on_real = d(real)
        real_loss = bce(on_real, ones)
        real_loss.backward()
        fake = g(torch.randn(len(real), 100, 1, 1, device=device))
        fake_loss = bce(d(fake.detach()), zeros)
        fake_loss.backward()
        adam_d.step()
        g.zero_grad()
        judged = d(fake)
        g_loss = bce(judged, ones)
        g_loss.backward()
        adam_g.step()
        on_real.mean().item(), judged.mean().item(), (real_loss + fake_loss).item(), g_loss.item()

    return step
