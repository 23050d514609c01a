"""A session of the library, with errors as exceptions."""

from __future__ import annotations

import ctypes
import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from ._arrays import Batch
from ._library import Metrics, Report, library
from .errors import CHECK_FAILED, DponnxError


def _last_error() -> str:
    return library.dponnx_last_error().decode(errors="replace")


def _call(name: str, *arguments: Any) -> None:
    if status := getattr(library, name)(*arguments):
        raise DponnxError(_last_error(), status)


def _taken(pointer: ctypes.c_void_p) -> Any:
    """A JSON text that the library allocated."""
    try:
        return json.loads(ctypes.string_at(pointer.value or 0))
    finally:
        library.dponnx_free(pointer)


class Session:
    def __init__(self, path: str | os.PathLike[str], options: Mapping[str, Any]) -> None:
        self._pointer = ctypes.c_void_p()
        _call("dponnx_open", os.fsencode(path), json.dumps(dict(options)).encode(), ctypes.byref(self._pointer))

    def __del__(self) -> None:
        if getattr(self, "_pointer", None):
            library.dponnx_close(self._pointer)

    def describe(self) -> dict[str, Any]:
        text = ctypes.c_void_p()
        _call("dponnx_describe", self._pointer, ctypes.byref(text))
        return _taken(text)

    def check(self) -> dict[str, Any]:
        text = ctypes.c_void_p()
        status = library.dponnx_check(self._pointer, ctypes.byref(text))
        if status not in (0, CHECK_FAILED):
            raise DponnxError(_last_error(), status)
        return _taken(text)

    def draw(self) -> np.ndarray:
        rows, count = ctypes.POINTER(ctypes.c_int64)(), ctypes.c_size_t()
        _call("dponnx_draw", self._pointer, ctypes.byref(rows), ctypes.byref(count))
        try:
            return np.array(rows[: count.value], np.int64)
        finally:
            library.dponnx_free(rows)

    def forget_draws(self) -> None:
        _call("dponnx_forget_draws", self._pointer)

    def prepare(self, arrays: Mapping[str, Any]) -> None:
        self._feed("dponnx_prepare", arrays)

    def accumulate(self, arrays: Mapping[str, Any]) -> None:
        self._feed("dponnx_accumulate", arrays)

    def evaluate(self, arrays: Mapping[str, Any]) -> None:
        self._feed("dponnx_evaluate", arrays)

    def checkpoint(self) -> None:
        _call("dponnx_checkpoint", self._pointer)

    def discard(self) -> None:
        _call("dponnx_discard", self._pointer)

    def finish_step(self) -> Report:
        report = Report()
        _call("dponnx_finish_step", self._pointer, ctypes.byref(report))
        return report

    def finish_evaluation(self) -> Metrics:
        metrics = Metrics()
        _call("dponnx_finish_evaluation", self._pointer, ctypes.byref(metrics))
        return metrics

    def epsilon(self, delta: float) -> float:
        epsilon = ctypes.c_double()
        _call("dponnx_epsilon", self._pointer, delta, ctypes.byref(epsilon))
        return epsilon.value

    def weights(self, name: str, shape: list[int]) -> np.ndarray:
        values = np.empty(shape, np.float32)
        pointer = values.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
        _call("dponnx_weights", self._pointer, name.encode(), pointer, values.size)
        return values

    def state(self, reference: Batch, values: Mapping[str, np.ndarray] | None, partial: bool) -> dict[str, Any]:
        """Fills `values` by the names of the reference's tensors, unless some are missing and that is not `partial`."""
        pointers = (ctypes.c_void_p * max(1, reference.count))()
        for index in range(reference.count):
            array = None if values is None else values.get(reference.tensors[index].name.decode())
            pointers[index] = None if array is None else array.ctypes.data
        text = ctypes.c_void_p()
        status = library.dponnx_state(
            self._pointer, reference.tensors, reference.count, pointers, int(partial), ctypes.byref(text)
        )
        if status not in (0, CHECK_FAILED):
            raise DponnxError(_last_error(), status)
        return _taken(text)

    def save(self, path: str | os.PathLike[str]) -> None:
        _call("dponnx_save", self._pointer, os.fsencode(path))

    def _feed(self, call: str, arrays: Mapping[str, Any]) -> None:
        batch = Batch(arrays)
        _call(call, self._pointer, batch.tensors, batch.count)
