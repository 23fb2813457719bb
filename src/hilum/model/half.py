"""Weights in half the bytes: rounded to float16, computed with in float32."""

from __future__ import annotations

import copy

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from hilum.domain.errors import BundleError
from hilum.model.classifier import Classifier

__all__ = ["rounded", "store_half"]


def rounded(network: Classifier) -> Classifier:
    """A copy whose kernels and matrices hold only values that float16 has.

    They make up nearly all of a network. Biases, norms and statistics stay as they are: they are
    few, and a variance can be too small for float16.

    Raises:
        BundleError: for weights beyond 65504, float16's largest number.
    """
    copied = copy.deepcopy(network)
    for name, parameter in copied.named_parameters():
        if parameter.ndim < 2:
            continue
        weights = parameter.data
        half = weights.half()
        if not torch.isfinite(half).all():
            largest = float(weights.abs().max())
            raise BundleError(
                f"weights must be within 65504 to be stored as float16; {name} reaches {largest:g}"
            )
        parameter.data = half.to(weights.dtype)
    return copied


def store_half(model: onnx.ModelProto) -> None:
    """Store as float16 what loses nothing by it, each behind a Cast, so that nodes see float32.

    A runtime undoes the casts once, when it loads the graph. Vectors and scalars stay float32.
    """
    casts: list[onnx.NodeProto] = []
    for tensor in model.graph.initializer:
        if tensor.data_type != TensorProto.FLOAT or len(tensor.dims) < 2:
            continue
        values = numpy_helper.to_array(tensor)
        half = values.astype(np.float16)
        if not np.array_equal(half.astype(np.float32), values):
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(half, f"{name}.half"))
        casts.append(helper.make_node("Cast", [tensor.name], [name], to=TensorProto.FLOAT))
    nodes = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*casts, *nodes])
