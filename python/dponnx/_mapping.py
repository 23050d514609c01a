"""From the names of an ONNX file back to those of a state_dict."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ._arrays import as_array, is_tensor
from .errors import BAD_INPUT, DponnxError


def map_weights(
    initial: Mapping[str, np.ndarray],
    trained: Mapping[str, np.ndarray],
    reference: Mapping[str, Any],
    other_names: Mapping[str, str],
) -> dict[str, Any]:
    """`reference` with trained values, each in the reference's shape and type.

    An entry is a tensor's own if it has its name (the program's, with or without a prefix that a wrapper added) and its
    initial value, else if it alone has that value, as it is or transposed. Entries that share memory are one parameter.
    """
    values = {name: _floats(value) for name, value in reference.items() if _is_float(value)}
    result = dict(reference)
    unknown: list[str] = []
    owner: dict[str, str] = {}
    for name, before in initial.items():
        names = [name] + [other for other, own in other_names.items() if own == name]
        keys = {_closest(candidate, values) for candidate in names}
        matches = [key for key in keys if key is not None and _orientation(values[key], before) is not None]
        if not matches:
            matches = [key for key, value in values.items() if _orientation(value, before) is not None]
            if len({_memory(reference[key]) for key in matches}) > 1:
                unknown.append(f"'{name}' could be any of {', '.join(map(repr, matches))}")
                continue
        if not matches:
            unknown.append(f"'{name}' has the initial value of no entry")
            continue
        shared = {_memory(reference[key]) for key in matches}
        for key, value in reference.items():
            if key not in values or _memory(value) not in shared:
                continue
            if owner.setdefault(key, name) != name:
                unknown.append(f"'{key}' is both '{owner[key]}' and '{name}'")
                continue
            turned = _orientation(values[key], before) == "transposed"
            result[key] = _like(trained[name].T if turned else trained[name], value)
    if unknown:
        raise DponnxError("trained tensors cannot be found in the reference: " + "; ".join(unknown), BAD_INPUT)
    return result


def _closest(name: str, keys: Mapping[str, Any]) -> str | None:
    """The key that is the name, else the longest one that a wrapper's prefix was put before, else the only one with a
    prefix of its own."""
    if name in keys:
        return name
    if inner := [key for key in keys if name.endswith("." + key)]:
        return max(inner, key=len)
    outer = [key for key in keys if key.endswith("." + name)]
    return outer[0] if len(outer) == 1 else None


def _orientation(value: np.ndarray, before: np.ndarray) -> str | None:
    if value.shape == before.shape and np.array_equal(value, before, equal_nan=True):
        return "same"
    if value.ndim == 2 and value.T.shape == before.shape and np.array_equal(value.T, before, equal_nan=True):
        return "transposed"
    return None


def _is_float(value: Any) -> bool:
    return value.is_floating_point() if is_tensor(value) else np.asarray(value).dtype.kind == "f"


def _floats(value: Any) -> np.ndarray:
    return value.detach().cpu().float().numpy() if is_tensor(value) else as_array(value)[0].astype(np.float32)


def _memory(value: Any) -> int:
    return value.data_ptr() if is_tensor(value) else np.asarray(value).ctypes.data


def _like(values: np.ndarray, model: Any) -> Any:
    if not is_tensor(model):
        return np.ascontiguousarray(values, np.asarray(model).dtype)
    import torch

    return torch.from_numpy(np.ascontiguousarray(values)).to(device=model.device, dtype=model.dtype)
