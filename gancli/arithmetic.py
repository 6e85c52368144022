"""What a run multiplies with: chosen for the machine and recorded in the configuration, so that a resume repeats it."""

import logging
from dataclasses import replace

import torch

from gancli import devices, products, run_folder
from gancli.config import TrainConfig
from gancli.training.distributed import Group

log = logging.getLogger(__name__)


def chosen(config: TrainConfig, device: torch.device, group: Group) -> TrainConfig:
    """The configuration with what multiplies float32 matrices filled in, which is used from now on.

    Told threads are set before, since the choice depends on them. A warning says where bfloat16 would be slower.
    """
    devices.prefer_speed(device, config.deterministic)
    config = replace(config, matmul=_library(config.matmul, device, group))
    if config.precision == "bf16" and device.type == "cpu" and (gain := products.bf16_gain()) < 1:
        log.warning(
            "--precision bf16: this processor multiplies bfloat16 at %.1f times the speed of float32; fp32 is faster.",
            gain,
        )
    return config


def _library(asked: str, device: torch.device, group: Group) -> products.Library:
    """What multiplies matrices on the CPU, the same in all processes."""
    library: products.Library = "onednn" if asked == "onednn" else "default"
    if asked == "auto" and device.type == "cpu" and group.agree(int(products.best(run_folder.processor()) == "onednn")):
        library = "onednn"
    if not products.use(library):
        log.warning("matmul onednn would round to bfloat16 on this machine: torch's default is used instead.")
        return "default"
    return library
