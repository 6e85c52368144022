"""Convert generators to the bytes of ONNX, safetensors and ``.pt2`` (torch.export) files, and run those."""

import contextlib
import io
import json
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils import parametrize

from gancli.deploy.deployed import Deployed, Inputs, deployed, numbered_inputs
from gancli.deploy.precision import in_precision
from gancli.errors import FileFormatError, GancliError
from gancli.machine.extras import required
from gancli.sampling.generator import LoadedGenerator, build_generator

SUFFIXES = (".onnx", ".safetensors", ".pt2")
OPSET = 17
ABOUT = "gancli.json"
"""Name of the metadata in a ``.pt2``."""
Run = Callable[[Inputs], np.ndarray]
"""Runs a model: takes its inputs, returns its output."""


def require_libraries(suffix: str) -> None:
    """Raise UsageError if a format's libraries are missing."""
    if suffix == ".onnx":
        for module in ("onnx", "onnxruntime"):
            required(module, "export", "an .onnx file")
    if suffix == ".safetensors":
        required("safetensors.torch", "export", "a .safetensors file")


def content_of(
    suffix: str, generator: LoadedGenerator, pixels: bool, about: Mapping[str, str], precision: str = "fp32"
) -> bytes:
    """The bytes of a file: a model for any batch size, or for ``.safetensors`` the weights alone.

    Raises:
        UsageError: a library is missing.
        GancliError: a layer has no form in ONNX.
    """
    if suffix == ".safetensors":
        weights = {name: value.contiguous() for name, value in generator.file.weights.items()}
        return required("safetensors.torch", "export", "a .safetensors file").save(weights, metadata=dict(about))
    module, inputs = _with_plain_weights(generator, pixels), numbered_inputs(generator, range(2))
    return _onnx(module, inputs, about, precision) if suffix == ".onnx" else _pt2(module, inputs, about)


def _with_plain_weights(generator: LoadedGenerator, pixels: bool) -> Deployed:
    """A new module in which computed weights, such as spectrally normalised ones, are plain tensors."""
    plain = deployed(build_generator(generator.file, torch.device("cpu")), pixels)
    for layer in plain.modules():
        if parametrize.is_parametrized(layer):
            for name in list(layer.parametrizations):  # type: ignore[arg-type]
                parametrize.remove_parametrizations(layer, name, leave_parametrized=True)
    return plain


def runner(suffix: str, content: bytes, generator: LoadedGenerator) -> Run:
    """A function that runs the bytes in onnxruntime or torch; ``.safetensors`` takes the generator's network."""
    if suffix == ".onnx":
        return _onnx_runner(content)
    if suffix == ".safetensors":
        weights = required("safetensors.torch", "export", "a .safetensors file").load(content)
        again = build_generator(replace(generator.file, weights=weights), torch.device("cpu"))
        return torch_runner(deployed(again, pixels=False))
    return torch_runner(torch.export.load(io.BytesIO(content)).module())


def torch_runner(module: Callable[..., Tensor]) -> Run:
    """A function that runs a torch module."""

    def run(inputs: Inputs) -> np.ndarray:
        with torch.inference_mode():
            return module(*inputs.tensors()).numpy()

    return run


def _onnx(module: Deployed, inputs: Inputs, about: Mapping[str, str], precision: str) -> bytes:
    """Export by tracing, which is as exact as torch's newer exporter (``dynamo=True``) and 50 times faster."""
    onnx, written = required("onnx", "export", "an .onnx file"), io.BytesIO()
    names = inputs.names
    export: Any = torch.onnx.export  # it accepts a file object, which its type hints omit
    with warnings.catch_warnings(action="ignore"), contextlib.redirect_stdout(io.StringIO()):
        try:
            export(
                module, inputs.tensors(), written, dynamo=False, opset_version=OPSET,
                input_names=names, output_names=[module.output],
                dynamic_axes={name: {0: "N"} for name in (*names, module.output)},
            )  # fmt: skip
        except torch.onnx.errors.OnnxExporterError as error:
            reason = str(error).partition(". ")[0].splitlines()[0]
            raise GancliError(f"a layer of this generator has no form in ONNX ({reason}).") from error
    model = in_precision(onnx.load_from_string(written.getvalue()), precision)
    model.producer_name, model.producer_version, model.graph.name = "gancli", about["gancli"], "generator"
    onnx.helper.set_model_props(model, dict(about))
    onnx.checker.check_model(model)
    return model.SerializeToString(deterministic=True)


def _onnx_runner(content: bytes) -> Run:
    onnxruntime = required("onnxruntime", "export", "an .onnx file")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = torch.get_num_threads(), 3
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    wanted = {each.name for each in session.get_inputs()}

    def run(inputs: Inputs) -> np.ndarray:
        return session.run(None, {name: each for name, each in inputs.named().items() if name in wanted})[0]

    return run


def _pt2(module: Deployed, inputs: Inputs, about: Mapping[str, str]) -> bytes:
    dynamic = tuple({0: torch.export.Dim.DYNAMIC} for _ in inputs.tensors())
    written = io.BytesIO()
    with torch.no_grad(), warnings.catch_warnings(action="ignore"):
        program = torch.export.export(module, inputs.tensors(), dynamic_shapes=dynamic)
        torch.export.save(program, written, extra_files={ABOUT: json.dumps(dict(about))})
    return written.getvalue()


def about_file(path: Path) -> dict[str, str]:
    """The metadata in a model's file; FileFormatError if it is damaged or gancli did not write it."""
    suffix = path.suffix.lower()
    require_libraries(suffix)
    try:
        about = _about(path, suffix)
    except Exception as error:  # each library has its own errors
        raise FileFormatError(f"{path} cannot be read ({' '.join(str(error).split())[:200]}).") from error
    if not about.get("format", "").startswith("gancli-model"):
        raise FileFormatError(f"{path} is a model, but not one that gancli exported.")
    return about


def _about(path: Path, suffix: str) -> dict[str, str]:
    if suffix == ".onnx":
        onnx = required("onnx", "export", "an .onnx file")
        model = onnx.load_from_string(path.read_bytes())
        onnx.checker.check_model(model)
        return {each.key: each.value for each in model.metadata_props}
    if suffix == ".safetensors":
        opened: Any = required("safetensors", "export", "a .safetensors file").safe_open(path, "pt")
        with opened as file:
            return file.metadata() or {}
    extra = {ABOUT: ""}
    torch.export.load(path, extra_files=extra)
    return json.loads(extra[ABOUT] or "{}")
