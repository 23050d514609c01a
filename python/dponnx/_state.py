"""From a trained session back to the names, shapes and types of a state_dict."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ._arrays import Batch, as_array, is_known, is_tensor
from ._session import Session
from .errors import CHECK_FAILED, DponnxError


class StateDict:
    """A module's state_dict as it was exported, by which a session's tensors are recognised.

    Entries that share memory are one parameter; entries that are no tensors of numbers are left alone.
    """

    def __init__(self, reference: Mapping[str, Any]) -> None:
        self._reference = reference
        # One array per memory, wherever the tensor lies, so that the library sees what is tied.
        arrays: dict[Any, Any] = {}
        self._arrays: dict[str, Any] = {}
        for name, value in reference.items():
            if not is_known(value):
                continue
            key = _memory(value)
            if key not in arrays:
                arrays[key] = value.detach().cpu() if is_tensor(value) else np.asarray(value)
            self._arrays[name] = arrays[key]

    def report(self, session: Session) -> dict[str, Any]:
        """What becomes of every entry: `mapped`, with the session's tensors, `kept` and `missing`."""
        return session.state(Batch(self._arrays), None, partial=True)

    def trained(self, session: Session, partial: bool) -> dict[str, Any]:
        """The entries with the session's values. Those that do not train are the reference's own.

        Raises `DponnxError` with the reasons if the values of some cannot be told, unless `partial`.
        """
        made: dict[int, Any] = {}
        filled: dict[str, np.ndarray] = {}
        for name, array in self._arrays.items():
            if id(array) not in made and _is_floating(array):
                made[id(array)] = filled[name] = np.empty(tuple(array.shape), as_array(array)[0].dtype)
        report = session.state(Batch(self._arrays), filled, partial)
        missing = {entry["name"]: entry["reason"] for entry in report["missing"]}
        if missing and not partial:
            raise DponnxError(
                "weights cannot be told: " + "; ".join(f"'{name}' is {why}" for name, why in missing.items()),
                CHECK_FAILED,
            )
        result = dict(self._reference)
        for name in (entry["name"] for entry in report["mapped"]):
            values = made[id(self._arrays[name])]
            result[name] = _like(values, self._reference[name])
        return result


def _memory(value: Any) -> Any:
    if is_tensor(value):
        return value.device, value.data_ptr() or id(value), value.dtype, tuple(value.shape), value.stride()
    array = np.asarray(value)
    return array.ctypes.data, array.dtype, array.shape, array.strides


def _is_floating(array: Any) -> bool:
    return array.is_floating_point() if is_tensor(array) else array.dtype.kind == "f"


def _like(values: np.ndarray, model: Any) -> Any:
    """Values that the library wrote in the model's element type, as the model's kind of array."""
    if not is_tensor(model):
        return values
    import torch

    tensor = torch.from_numpy(values)
    return (tensor.view(torch.bfloat16) if model.dtype == torch.bfloat16 else tensor).to(model.device)
