"""Private training whose caller drives the loop."""

from __future__ import annotations

import math
import os
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from ._arrays import as_array, by_name, is_tensor
from ._session import Session
from ._state import StateDict
from .errors import BAD_INPUT, USAGE, DponnxError, NotTrainableError, PrivacyWarning


class BatchSampler:
    """Batches of row numbers, drawn as the accountant presumes, for `DataLoader(batch_sampler=...)`.

    Every pass over it is an epoch of N / B batches, until batches for all planned steps have been drawn. Batches vary in
    size. An empty one is a step too: it is not handed out, as loaders cannot collate it, but taken by the trainer before
    the next one.
    """

    def __init__(self, trainer: PrivateTrainer) -> None:
        self._trainer = trainer

    def __len__(self) -> int:
        """Batches of an epoch; empty ones count."""
        return self._trainer.steps_per_epoch

    def __iter__(self) -> Iterator[list[int]]:
        # What a loader has read ahead in an epoch that was broken off is not stepped on any more.
        self._trainer._forget_draws()
        left = self._trainer.steps_left
        if left <= 0:
            warnings.warn("all planned steps have been taken; no batch is drawn any more", stacklevel=2)
        for _ in range(min(len(self), left)):
            rows = self._trainer.draw()
            if rows.size:
                yield self._trainer.rows_of(rows)


class PrivateTrainer:
    """Trains an ONNX model by DP-SGD on batches that its caller feeds.

    Options are those of `dponnx train` with underscores: `epsilon`, `delta`, `noise_multiplier`, `dataset_size` (N as
    declared), `rows` (rows that batches are drawn from, N unless given), `batch_size`, `epochs`, `steps`, `sampler`,
    `accountant`, `clip_norm`, `clipping_style`, `optimizer`, `learning_rate`, `loss`, `target`, `trainable`, `frozen` and
    so on; dponnx.h lists them. An unknown one is an error.

    With `group_by`, the key of an array of every batch, rows of one value form one sample, which is drawn, clipped and
    protected as one; `groups` is that array for all rows of the data. `dataset_size` then counts groups. `adapter`
    ("lora:rank=8") trains low-rank adapters. With `checkpoint`, a folder, `checkpoint()` saves how far the training has
    come, and `resume=True` goes on from there.
    """

    def __init__(self, onnx_path: str | os.PathLike[str], *, groups: Any = None, **options: Any) -> None:
        self._options = {name: value for name, value in options.items() if value is not None}
        self._group_by: str | None = self._options.get("group_by")
        if (groups is None) != (self._group_by is None):
            raise DponnxError("group_by, a key, and groups, that array for all rows, belong together", USAGE)
        self._group_rows: list[list[int]] = []
        self._group_numbers: dict[Any, int] = {}
        if groups is not None:
            for row, label in enumerate(_labels(groups)):
                self._group_numbers.setdefault(label, len(self._group_numbers))
                if self._group_numbers[label] == len(self._group_rows):
                    self._group_rows.append([])
                self._group_rows[self._group_numbers[label]].append(row)
            self._options["largest_group"] = max(map(len, self._group_rows), default=1)
            self._options.setdefault("rows", len(self._group_rows))
        self._session = Session(onnx_path, self._options)
        self._description = self._session.describe()
        self._draws: deque[int] = deque()
        self._prepared = False
        self._target: str = self._options.get("target", "labels")
        self.steps_taken = 0
        self.history: list[dict[str, Any]] = []

    @property
    def inputs(self) -> list[str]:
        """Names of the model's inputs."""
        return [entry["name"] for entry in self._description["inputs"]]

    @property
    def trainable(self) -> dict[str, tuple[int, ...]]:
        """Tensors that train, with their shapes."""
        return {entry["name"]: tuple(entry["shape"]) for entry in self._description["trainable"]}

    @property
    def notes(self) -> list[str]:
        """What was changed in the model before training, and what is to be known about it."""
        return list(self._description["notes"])

    @property
    def steps(self) -> int:
        """Planned steps."""
        return int(self._mechanism["steps"])

    @property
    def steps_left(self) -> int:
        """Steps that may still be taken; of a run that was resumed, those that were paid for and lost are gone."""
        return int(self._session.describe()["steps_left"])

    @property
    def noise_multiplier(self) -> float:
        return float(self._mechanism["noise_multiplier"])

    @property
    def steps_per_epoch(self) -> int:
        rows = self._options.get("rows", self._mechanism["dataset_size"])
        expected = rows * self._mechanism["sampling_rate"]
        return max(1, math.ceil(rows / expected - 1e-9))

    @property
    def _mechanism(self) -> dict[str, Any]:
        if "mechanism" not in self._description:
            raise DponnxError("say how private: epsilon and delta, or noise_multiplier and delta", USAGE)
        return self._description["mechanism"]

    def check(self) -> dict[str, Any]:
        """What `dponnx check --json` prints."""
        return self._session.check()

    def require_trainable(self, module_title: Callable[[str], str] = repr) -> None:
        """Raises `NotTrainableError` unless the model can be trained privately.

        `module_title` puts the path of a module, as the exporter noted it, into words.
        """
        report = self.check()
        if report["can_train_privately"]:
            return
        lines = []
        for problem in report["problems"]:
            place = f"module {module_title(problem['module'])}: " if problem.get("module") else ""
            node = f"node '{problem['node']}' ({problem.get('operator', '?')}): " if problem.get("node") else ""
            lines.append(place + node + problem["message"])
        raise NotTrainableError("the model cannot be trained privately: " + "; ".join(lines), report["problems"])

    # Batches

    def batch_sampler(self) -> BatchSampler:
        """Batches for which `epsilon` holds."""
        return BatchSampler(self)

    def rows_of(self, drawn: np.ndarray) -> list[int]:
        """The rows of what `draw` has drawn: the same ones, or all of its groups, one group after the other."""
        if self._group_by is None:
            return drawn.tolist()
        return [row for group in drawn for row in self._group_rows[group]]

    def draw(self) -> np.ndarray:
        """Rows of the next batch, ascending, or numbers of groups, in the order of their first rows; for loops without a
        loader. An empty batch is a step too."""
        rows = self._session.draw()
        self._draws.append(rows.size)
        return rows

    def _forget_draws(self) -> None:
        """Forgets batches drawn ahead; empty ones that were due before them are taken first."""
        if self._prepared:
            self._take_empty_steps()
        self._session.forget_draws()
        self._draws.clear()

    def accumulate(self, batch: Any) -> None:
        """Adds rows to the step under way, in parts of any size. All samples have one shape."""
        self._session.accumulate(self._arrays(batch))
        self._prepared = True

    def checkpoint(self) -> None:
        """Writes a checkpoint of the last whole step to the folder that the option `checkpoint` gives."""
        self._session.checkpoint()

    def discard(self) -> None:
        """Forgets the rows of the step under way."""
        self._session.discard()

    def finish_step(self) -> dict[str, Any]:
        """Ends the step under way: noise is added once, the weights move. Without rows it is a step of noise only.

        What is returned is computed without noise and NOT covered by epsilon.
        """
        report = self._session.finish_step()
        if self._draws:
            self._draws.popleft()
        self.steps_taken = int(report.step)
        entry = {
            "step": self.steps_taken,
            "sample_count": int(report.sample_count),
            "excluded": int(report.excluded),
            "learning_rate": report.learning_rate,
            "loss": _number(report.loss),
            "clipped_share": _number(report.clipped_share),
        }
        self.history.append(entry)
        return entry

    def step(self, batch: Any) -> dict[str, Any]:
        """One private update with a batch of `batch_sampler`: a mapping from names to arrays or tensors with the samples
        on their first axis, or a tuple of the inputs and the target.

        A batch from elsewhere is stepped on, but `epsilon` is infinite from then on. What is returned is computed without
        noise and NOT covered by epsilon.
        """
        arrays = self._arrays(batch)
        if not self._prepared:
            self._session.prepare(arrays)
            self._prepared = True
        self._take_empty_steps()
        self._session.accumulate(arrays)
        return self.finish_step()

    def prepare(self, example: Any) -> None:
        """Compiles the step for samples shaped like the example's, whose values are not looked at."""
        self._session.prepare(self._arrays(example))
        self._prepared = True

    def _take_empty_steps(self) -> None:
        while self._draws and self._draws[0] == 0:
            self.finish_step()

    def _arrays(self, batch: Any) -> dict[str, Any]:
        arrays = by_name(batch, self.inputs, self._target)
        if self._group_by is not None and isinstance(batch, Mapping) and self._group_by in batch:
            labels = _labels(batch[self._group_by])
            unknown = [label for label in labels if label not in self._group_numbers]
            if unknown:
                raise DponnxError(f"'{self._group_by}' holds {unknown[0]!r}, which groups does not", BAD_INPUT)
            arrays[self._group_by] = np.array([self._group_numbers[label] for label in labels], np.int64)
        return arrays

    # Results

    def evaluate(self, data: Any) -> dict[str, Any]:
        """Loss and metrics over a batch, or over the batches of a loader. NOT covered by epsilon if the rows are
        private."""
        batches = [data] if isinstance(data, (Mapping, tuple)) else data
        for batch in batches:
            self._session.evaluate(self._arrays(batch))
        metrics = self._session.finish_evaluation()
        values = {name: _number(getattr(metrics, name)) for name, _ in metrics._fields_ if name != "sample_count"}
        return {"samples": int(metrics.sample_count), **{k: v for k, v in values.items() if v is not None}}

    def epsilon(self, delta: float | None = None) -> float:
        """What the steps taken so far cost at delta (default: the one trained for): an upper bound.

        Infinite, with a `PrivacyWarning` that says why, where nothing is guaranteed. If private data had a say in when to
        stop, what holds is the epsilon of all planned steps, which the saved file states.
        """
        if self._prepared:
            self._take_empty_steps()
        delta = delta if delta is not None else self._options.get("delta")
        if delta is None:
            raise DponnxError("epsilon has no meaning without delta", USAGE)
        value = self._session.epsilon(delta)
        if math.isinf(value):
            for reason in self.reasons_not_private:
                warnings.warn(f"no epsilon holds: {reason}", PrivacyWarning, stacklevel=2)
        return value

    @property
    def reasons_not_private(self) -> list[str]:
        """Why no epsilon holds; empty if one does."""
        return list(self._session.describe()["reasons_not_private"])

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the model with its trained weights and its privacy statement."""
        if self._prepared:
            self._take_empty_steps()
        self._session.save(path)

    def weights(self) -> dict[str, np.ndarray]:
        """Trained tensors by their names in the ONNX file."""
        return {name: self._session.weights(name, list(shape)) for name, shape in self.trainable.items()}

    def state_dict(self, reference: Mapping[str, Any], partial: bool = False) -> dict[str, Any]:
        """`reference`, the state_dict of the module as it was exported, with the trained values in place of its own.

        Tensors are recognised by their values, transposed, reordered and joined as exporters do, and by what the exporter
        says where values are equal. Raises `DponnxError` if the exporter folded some into others, naming them, the reason
        and the export flag that avoids it; with `partial` they keep the reference's values.
        """
        if self._prepared:
            self._take_empty_steps()
        return StateDict(reference).trained(self._session, partial)


def _labels(values: Any) -> list[Any]:
    """Entries that rows are grouped by, numbers or texts."""
    if isinstance(values, (list, tuple)):
        return [value.item() if hasattr(value, "item") else value for value in values]
    return as_array(values)[0].tolist() if is_tensor(values) else np.asarray(values).tolist()


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
