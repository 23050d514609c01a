"""libdponnx as its header (dponnx.h) declares it."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

ABI_VERSION = 1


class Tensor(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_char_p),
        ("type", ctypes.c_int32),
        ("rank", ctypes.c_int32),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("data", ctypes.c_void_p),
    ]


class Report(ctypes.Structure):
    _fields_ = [
        ("step", ctypes.c_int64),
        ("sample_count", ctypes.c_int64),
        ("excluded", ctypes.c_int64),
        ("learning_rate", ctypes.c_double),
        ("loss", ctypes.c_double),
        ("clipped_share", ctypes.c_double),
    ]


class Metrics(ctypes.Structure):
    _fields_ = [("sample_count", ctypes.c_int64)] + [
        (name, ctypes.c_double) for name in ("loss", "accuracy", "top5", "perplexity", "auc", "mse", "mae")
    ]


_session = ctypes.c_void_p
_text = ctypes.POINTER(ctypes.c_void_p)
_tensors = ctypes.POINTER(Tensor)
_SIGNATURES = {
    "dponnx_open": [ctypes.c_char_p, ctypes.c_char_p, ctypes.POINTER(_session)],
    "dponnx_describe": [_session, _text],
    "dponnx_check": [_session, _text],
    "dponnx_draw": [_session, ctypes.POINTER(ctypes.POINTER(ctypes.c_int64)), ctypes.POINTER(ctypes.c_size_t)],
    "dponnx_forget_draws": [_session],
    "dponnx_prepare": [_session, _tensors, ctypes.c_size_t],
    "dponnx_accumulate": [_session, _tensors, ctypes.c_size_t],
    "dponnx_checkpoint": [_session],
    "dponnx_discard": [_session],
    "dponnx_finish_step": [_session, ctypes.POINTER(Report)],
    "dponnx_evaluate": [_session, _tensors, ctypes.c_size_t],
    "dponnx_finish_evaluation": [_session, ctypes.POINTER(Metrics)],
    "dponnx_epsilon": [_session, ctypes.c_double, ctypes.POINTER(ctypes.c_double)],
    "dponnx_weights": [_session, ctypes.c_char_p, ctypes.POINTER(ctypes.c_float), ctypes.c_size_t],
    "dponnx_state": [
        _session, _tensors, ctypes.c_size_t, ctypes.POINTER(ctypes.c_void_p), ctypes.c_int32, _text,
    ],
    "dponnx_save": [_session, ctypes.c_char_p],
}


def _candidates() -> list[Path]:
    if stated := os.environ.get("DPONNX_LIBRARY"):
        return [Path(stated)]
    package = Path(__file__).resolve().parent
    # In the installed package; else where `make library` puts it in the checkout that this file is part of.
    return [package / "lib" / "libdponnx.so", package.parents[1] / ".build" / "library" / "libdponnx.so"]


def _load() -> ctypes.CDLL:
    candidates = _candidates()
    path = next((path for path in candidates if path.exists()), None)
    if path is None:
        places = ", ".join(str(path) for path in candidates)
        raise ImportError(f"libdponnx.so is not at {places}; install the package, or set DPONNX_LIBRARY to its path")
    library = ctypes.CDLL(str(path))
    for name, arguments in _SIGNATURES.items():
        function = getattr(library, name)
        function.argtypes = arguments
        function.restype = ctypes.c_int32
    library.dponnx_abi_version.restype = ctypes.c_int32
    library.dponnx_last_error.restype = ctypes.c_char_p
    library.dponnx_close.argtypes = [_session]
    library.dponnx_close.restype = None
    library.dponnx_free.argtypes = [ctypes.c_void_p]
    library.dponnx_free.restype = None
    if (version := library.dponnx_abi_version()) != ABI_VERSION:
        raise ImportError(f"{path} has ABI version {version}, but this package needs {ABI_VERSION}")
    return library


library = _load()
