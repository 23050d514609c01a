"""Rows of data sets as batches."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ._arrays import as_array, by_name, is_tensor
from .errors import BAD_INPUT, DponnxError

IGNORED = -100


class Samples:
    """A data set with rows by number: a map-style Dataset of tuples or dicts, or a tuple or dict of arrays or tensors."""

    def __init__(
        self, data: Any, inputs: Sequence[str], target: str, collate: Callable[[list[Any]], Any] | None,
        shifts_labels: bool,
    ) -> None:  # fmt: skip
        self._inputs, self._target, self._collate, self._shifts = inputs, target, collate, shifts_labels
        self._columns: dict[str, Any] | None = None
        columns = isinstance(data, Mapping) or (isinstance(data, tuple) and all(map(_is_array, data)))
        if columns:
            self._columns = by_name(data, inputs, target)
            sizes = {name: len(value) for name, value in self._columns.items()}
            if not sizes or len(set(sizes.values())) != 1:
                raise DponnxError(f"the data's first axes must agree, but are {sizes}", BAD_INPUT)
            self._count = next(iter(sizes.values()))
        else:
            if not hasattr(data, "__len__") or not hasattr(data, "__getitem__"):
                raise DponnxError(
                    "the data set must have a length and rows by number (a map-style Dataset): "
                    "private sampling chooses rows at random", BAD_INPUT,
                )  # fmt: skip
            self._count = len(data)
        self._data = data

    def __len__(self) -> int:
        return self._count

    def batch(self, rows: Sequence[int]) -> dict[str, Any]:
        """The rows' arrays by name."""
        if self._columns is not None:
            index = np.asarray(rows)
            batch = {name: _rows(value, index) for name, value in self._columns.items()}
        else:
            items = [self._data[int(row)] for row in rows]
            merged = self._collate(items) if self._collate else self._merged(items)
            batch = by_name(merged, self._inputs, self._target)
        return self._shifted(batch) if self._shifts else batch

    def _merged(self, items: list[Any]) -> dict[str, Any]:
        named = [by_name(item, self._inputs, self._target) for item in items]
        return {name: _stacked([item[name] for item in named], name) for name in named[0]}

    def _shifted(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Targets of a causal language model: the token after each position, none after the last."""
        tokens = as_array(batch[self._target] if self._target in batch else batch[self._inputs[0]])[0]
        targets = np.full(tokens.shape, IGNORED, np.int64)
        targets[:, :-1] = tokens[:, 1:]
        if self._target not in batch and "attention_mask" in batch:
            targets[:, :-1][as_array(batch["attention_mask"])[0][:, 1:] == 0] = IGNORED
        return {**batch, self._target: targets}


def _is_array(value: Any) -> bool:
    return is_tensor(value) or isinstance(value, np.ndarray)


def _rows(value: Any, index: np.ndarray) -> Any:
    if is_tensor(value):
        return value[sys.modules["torch"].from_numpy(index).to(value.device)]
    return np.asarray(value)[index]


def _stacked(values: list[Any], name: str) -> Any:
    try:
        if is_tensor(values[0]):
            return sys.modules["torch"].stack([value.detach() for value in values])
        return np.stack([np.asarray(value) for value in values])
    except (ValueError, RuntimeError) as error:
        shapes = {tuple(np.shape(value)) for value in values}
        if len(shapes) < 2:
            raise
        raise DponnxError(
            f"samples of '{name}' have shapes {sorted(shapes)}; bring all to one shape, by padding to a fixed length say",
            BAD_INPUT,
        ) from error
