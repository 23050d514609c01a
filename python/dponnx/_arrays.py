"""Batches of arrays and tensors as the library takes them."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from . import _library
from .errors import BAD_INPUT, DponnxError

_TYPES = [
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "bfloat16", "float32",
    "float64",
]  # fmt: skip
_BFLOAT16 = _TYPES.index("bfloat16")


def is_tensor(value: Any) -> bool:
    """Whether a value is a tensor of PyTorch, which need not be installed."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def is_known(value: Any) -> bool:
    """Whether a value is an array or a tensor of a type that the library knows."""
    if is_tensor(value):
        return value.layout is sys.modules["torch"].strided and str(value.dtype).removeprefix("torch.") in _TYPES
    return isinstance(value, (np.ndarray, np.generic)) and value.dtype.name in _TYPES


def as_array(value: Any) -> tuple[np.ndarray, int]:
    """A value's elements, in its own memory where that is possible, and the library's number of their type."""
    if is_tensor(value):
        import torch

        tensor = value.detach().cpu()
        if tensor.dtype == torch.bfloat16:
            return tensor.view(torch.int16).numpy(), _BFLOAT16
        array = tensor.numpy()
    elif not isinstance(value, np.ndarray) and hasattr(value, "__dlpack__"):
        array = np.from_dlpack(value)
    else:
        array = np.asarray(value)
    if array.dtype.name not in _TYPES:
        raise DponnxError(
            f"values of type {array.dtype} are not supported; bring all samples to one shape and a numeric type",
            BAD_INPUT,
        )
    if not array.dtype.isnative or any(stride % array.itemsize for stride in array.strides):
        array = np.ascontiguousarray(array, array.dtype.newbyteorder("="))
    return array, _TYPES.index(array.dtype.name)


class Batch:
    """Tensors that the library may borrow for as long as this object lives."""

    def __init__(self, arrays: Mapping[str, Any]) -> None:
        self._kept: list[Any] = []
        self.count = len(arrays)
        self.tensors = (_library.Tensor * max(1, len(arrays)))()
        for tensor, (name, value) in zip(self.tensors, arrays.items()):
            array, kind = as_array(value)
            shape = (ctypes.c_int64 * max(1, array.ndim))(*array.shape)
            strides = (ctypes.c_int64 * max(1, array.ndim))(*(stride // array.itemsize for stride in array.strides))
            self._kept.append(array)
            tensor.name, tensor.type, tensor.rank = name.encode(), kind, array.ndim
            tensor.shape, tensor.strides = shape, strides
            tensor.data = array.ctypes.data


def by_name(batch: Any, inputs: Sequence[str], target: str) -> dict[str, Any]:
    """A batch's arrays by name: a mapping (more keys than needed are fine), or inputs in the model's order and then the
    target."""
    if isinstance(batch, Mapping):
        names = [*inputs, target]
        found = {name: batch[name] for name in names if name in batch}
        if target not in found and target == "labels" and "label" in batch:
            found[target] = batch["label"]
        return found
    if isinstance(batch, Sequence) and not isinstance(batch, (str, bytes)):
        if len(batch) == 2 and isinstance(batch[0], Mapping):
            return by_name({**batch[0], target: batch[1]}, inputs, target)
        names = list(inputs) if target in inputs else [*inputs, target]
        if len(batch) > len(names):
            raise DponnxError(f"a batch of {len(batch)} parts, but the model takes {', '.join(names)}", BAD_INPUT)
        return dict(zip(names, batch))
    if len(inputs) == 1:
        return {inputs[0]: batch}
    raise DponnxError("a batch is a mapping from names to arrays, or a tuple of the inputs and the target", BAD_INPUT)
