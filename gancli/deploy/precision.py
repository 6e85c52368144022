"""Reduce the bits of ONNX models: half precision throughout, or int8 weights."""

from typing import Any

import numpy as np

from gancli.machine.extras import required

LEAST_VALUES = 256
"""Tensors with fewer values stay float32, because converting them saves nothing."""
MAX_INT8 = 127


def in_precision(model: Any, precision: str) -> Any:
    """Convert an ONNX model to ``fp16`` or ``int8``, or return it for ``fp32``; inputs and outputs keep their types."""
    if precision == "fp16":
        convert = required("onnxruntime.transformers.float16", "export", "--precision fp16")
        half = convert.convert_float_to_float16(model, keep_io_types=True)
        nodes = _in_order(half.graph)
        del half.graph.node[:]
        half.graph.node.extend(nodes)
        return half
    return _with_int8_weights(model) if precision == "int8" else model


def _in_order(graph: Any) -> list[Any]:
    """Sort the nodes so that each follows those whose outputs it takes; the conversion appends its casts at the end."""
    known = {each.name for each in (*graph.initializer, *graph.input)} | {""}
    waiting, ordered = list(graph.node), []
    while ready := [node for node in waiting if known.issuperset(node.input)]:
        ordered += ready
        known |= {name for node in ready for name in node.output}
        waiting = [node for node in waiting if not known.issuperset(node.output)]
    return ordered


def _with_int8_weights(model: Any) -> Any:
    """Store each large weight as int8 with a scale per row; DequantizeLinear multiplies them, and sums stay float32.

    Activations are not rounded, so the file shrinks to a quarter, but the model is no faster.
    """
    onnx = required("onnx", "export", "--precision int8")
    nodes, kept = [], []
    for tensor in model.graph.initializer:
        values = onnx.numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.ndim < 2 or values.size < LEAST_VALUES:
            kept.append(tensor)
            continue
        largest = np.abs(values).max(axis=tuple(range(1, values.ndim)), keepdims=True)
        scale = np.where(largest > 0, largest / MAX_INT8, 1).astype(np.float32)
        rounded, names = np.rint(values / scale).astype(np.int8), (f"{tensor.name}.int8", f"{tensor.name}.scale")
        kept += [
            onnx.numpy_helper.from_array(each, name) for each, name in zip((rounded, scale.ravel()), names, strict=True)
        ]
        nodes.append(onnx.helper.make_node("DequantizeLinear", names, [tensor.name], axis=0))
    others = list(model.graph.node)
    del model.graph.initializer[:], model.graph.node[:]
    model.graph.initializer.extend(kept)
    model.graph.node.extend([*nodes, *others])
    return model
