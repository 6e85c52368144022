"""The hyperparameters of the latent recipe, which all of its stages read."""

from dataclasses import dataclass
from typing import Literal

from gancli.recipes.base import Recipe, hyper


@dataclass(frozen=True)
class Hyperparameters(Recipe):
    """Settings of the autoencoder, of the GAN in its latents, and of the last stage."""

    conditional: bool = hyper(False, "whether G draws the class that a label names")  # type: ignore[misc]
    autoencoder_images: float = hyper(
        0.0,
        "images for the autoencoder before the GAN begins; 0: a tenth of the length, 500,000 at most",
        least=1.0,
    )
    trained: bool = hyper(
        False, "the autoencoder is already trained (set by --autoencoder and --init-from); the GAN begins at once"
    )
    channels: int = hyper(32, "channels of the latents")
    width: int = hyper(128, "channels of the autoencoder's smallest maps; each doubling of the size halves them")
    autoencoder_lr: float = hyper(1e-3, "Adam's first learning rate for the autoencoder; 1/25 is left at its end")
    noise: float = hyper(0.3, "deviation of the noise on the latents that the decoder sees, which have unit variance")
    perceptual: float = hyper(0.5, "weight of the relative difference of EfficientNet-Lite0's features; 0: none")
    network: Literal["perceptron", "convolutional", "transformer"] = hyper("perceptron", "networks for latents")
    network_width: int = hyper(0, "channels of the networks for latents; 0: 384 for perceptrons, 64 for others")
    blocks: int = hyper(2, "residual blocks of those networks")
    versions: int = hyper(0, "times that each picture is encoded; 0: 8, fewer where that is more than 60,000 latents")
    shift: int = hyper(4, "pixels by which a version of a picture is moved at most", least=0)
    latent_noise: float = hyper(0.3, "deviation of the noise on the latents that D sees")
    adversarial: float = hyper(0.6, "weight of the adversarial loss in the last stage; 0: no such stage")
    rebuilding: float = hyper(1.5, "weight of the autoencoder's loss in the last stage")
    sharpening_lr: float = hyper(2e-4, "Adam's learning rate for both networks in the last stage")
    latent_images: float = hyper(
        0.0, "images for the GAN of latents; 0: all that the other stages leave; the last has a tenth", least=1.0
    )
    latent_dim: int = hyper(128, "numbers of a latent; at first each moves along one principal axis", least=1)
    g_lr: float = hyper(2e-4, "Adam's first learning rate for the GAN's G")
    d_lr: float = hyper(2e-4, "Adam's first learning rate for the GAN's D")
    lr_end: float = hyper(0.25, "share of the GAN's learning rates that is left at the end", most=1.0)
    beta1: float = hyper(0.0, "Adam's decay of the gradients' mean for the GAN; the autoencoder's is 0.5", below=1.0)
    beta2: float = hyper(0.9, "Adam's first decay of the gradients' square for the GAN", below=1.0)
    beta2_end: float = hyper(0.99, "its last, and the autoencoder's all along", below=1.0)
    gamma: float = hyper(1.0, "first weight of R1 and of R2")
    gamma_end: float = hyper(0.1, "last weight of R1 and of R2")
    decay_images: float = hyper(0.0, "images over which the GAN's rates reach their ends; 0: all of its own", least=1.0)
    ema_half_life: float = hyper(0.0, "last half-life of the averaged generator, in images; 0: 1/40 of decay_images")
