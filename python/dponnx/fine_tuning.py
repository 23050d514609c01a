"""Private fine-tuning of a PyTorch module in one call."""

from __future__ import annotations

import logging
import os
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch

from ._export import PREFIX, Inputs, Wrapper, evaluation_mode, export, used_parameters
from ._samples import Samples
from ._state import StateDict
from .errors import BAD_INPUT, USAGE, DponnxError, PrivacyWarning
from .trainer import PrivateTrainer

logger = logging.getLogger("dponnx")

LossFunction = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass
class FineTuningResult:
    """What `fine_tune` returns; the module itself holds the private weights."""

    #: What the training costs at `delta`; infinite if it is not private, for the reasons in `reasons_not_private`.
    epsilon: float
    delta: float | None
    noise_multiplier: float
    steps: int
    #: The trained ONNX file with its privacy statement.
    path: str
    #: Loss, clipped share and so on of every step. Computed without noise: NOT covered by epsilon.
    history: list[dict[str, Any]] = field(default_factory=list)
    #: Metrics on the validation data. NOT covered by epsilon.
    validation: dict[str, Any] | None = None
    reasons_not_private: list[str] = field(default_factory=list)
    #: The exporter that made the ONNX file.
    exporter: str = ""


def fine_tune(
    module: torch.nn.Module,
    example_inputs: Any,
    dataset: Any,
    *,
    loss: str | torch.nn.Module | LossFunction = "cross-entropy",
    epsilon: float | None = None,
    delta: float | None = None,
    noise_multiplier: float | None = None,
    dataset_size: int | None = None,
    batch_size: int | None = None,
    epochs: float | None = None,
    steps: int | None = None,
    validation: Any = None,
    output: str | os.PathLike[str] = "private.onnx",
    target: str = "labels",
    logits: str | int | None = None,
    collate_fn: Callable[[list[Any]], Any] | None = None,
    exporter: str = "auto",
    checkpoint: str | os.PathLike[str] | None = None,
    checkpoint_steps: int | None = None,
    progress: bool = True,
    **options: Any,
) -> FineTuningResult:
    """Trains a module under differential privacy, in place.

    The module is exported to ONNX in evaluation mode (no dropout, running statistics as they are), trained by DP-SGD, and
    its parameters that have `requires_grad` set get the private values. No other tensor changes.

    - example_inputs: what the module is called with: a tensor, a tuple, or a dict for keyword arguments; batch axis first.
      All samples have this shape.
    - dataset: a map-style Dataset of tuples (inputs, then the target) or dicts (keyword arguments, and the target under
      `target`), or a tuple or dict of arrays or tensors. `collate_fn` merges items otherwise than by stacking.
    - loss: "cross-entropy", "bce-with-logits", "mse", "l1", "huber", "causal-lm" (cross-entropy of the next token), a loss
      module of PyTorch that is one of these, or a function (output, target) -> loss of every sample [B].
    - epsilon and delta, or noise_multiplier and delta: how private.
    - dataset_size: N as declared. If it is left out, the rows are counted, and epsilon holds for N public.
    - epochs (default 1) or steps: how long; batch_size: the expected batch.
    - validation: data to evaluate the trained module on.
    - output: where the trained ONNX file goes.
    - logits: key or index of the output that the loss reads, where a module returns several.
    - checkpoint: a folder to save the training in, every `checkpoint_steps` steps (default: every five minutes). The same
      call with `resume=True`, on the module as it was before training, goes on from there.
    - progress: show a bar, if tqdm is installed.
    - options: any other of `PrivateTrainer`: optimizer, learning_rate, schedule, clip_norm, clipping_style, ...
    """
    kind, function = _loss(loss)
    inputs = Inputs(module, example_inputs)
    names = list(inputs.names)
    shifts = kind == "causal-lm"
    samples = Samples(dataset, names, target, collate_fn, shifts)
    held_out = None if validation is None else Samples(validation, names, target, collate_fn, shifts)
    if len(samples) == 0:
        raise DponnxError("the data set has no rows", BAD_INPUT)
    _announce(module, dataset_size, len(samples))

    values = dict(inputs.values)
    if function is not None:
        values[target] = _example_target(samples, target, values)
    wrapper = Wrapper(module, names if inputs.by_keyword else None, logits, function)
    outputs = ["loss", "logits"] if function is not None else ["logits"]
    with tempfile.TemporaryDirectory(prefix="dponnx-") as folder:
        path = os.path.join(folder, "model.onnx")
        with evaluation_mode(module):
            used = used_parameters(wrapper, tuple(values.values()))
            made_by = export(wrapper, values, outputs, path, exporter)
        settings = dict(
            loss="output:loss" if function is not None else "cross-entropy" if shifts else kind,
            logits=None if function is not None else "logits", target=target,
            rows=len(samples), dataset_size=dataset_size, batch_size=_batch_size(batch_size, options, len(samples)),
            epsilon=epsilon, delta=delta, noise_multiplier=noise_multiplier, epochs=epochs, steps=steps,
            checkpoint=None if checkpoint is None else os.fspath(checkpoint), **options,
        )  # fmt: skip
        if shifts:
            settings.setdefault("class_axis", -1)
        if "adapter" not in settings:
            settings.setdefault("trainable", _trainable(path, module, used))
        trainer = PrivateTrainer(path, **settings)
        trainer.require_trainable(lambda path: _title(module, path))
        for note in trainer.notes:
            logger.info(note)
        # Shapes alone; nothing is learnt from it.
        trainer.prepare(samples.batch([0]))
        saved = time.monotonic()
        for taken in _progress(trainer, progress):
            rows = trainer.draw().tolist()
            # Parts bound the memory that a batch's items take.
            for start in range(0, len(rows), _PART):
                trainer.accumulate(samples.batch(rows[start : start + _PART]))
            trainer.finish_step()
            due = (taken + 1) % checkpoint_steps == 0 if checkpoint_steps else time.monotonic() - saved > 300
            if checkpoint is not None and (due or trainer.steps_left == 0):
                trainer.checkpoint()
                saved = time.monotonic()
        trainer.save(output)
        metrics = None if held_out is None else trainer.evaluate(_parts(held_out))
        _load(module, trainer)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PrivacyWarning)
            spent = trainer.epsilon() if delta is not None else float("inf")
        return FineTuningResult(
            epsilon=spent, delta=delta, noise_multiplier=trainer.noise_multiplier, steps=trainer.steps_taken,
            path=os.fspath(output), history=trainer.history, validation=metrics,
            reasons_not_private=trainer.reasons_not_private, exporter=made_by,
        )  # fmt: skip


_PART = 256


def _parts(samples: Samples) -> Iterator[dict[str, Any]]:
    for start in range(0, len(samples), _PART):
        yield samples.batch(range(start, min(start + _PART, len(samples))))


def _loss(loss: str | torch.nn.Module | LossFunction) -> tuple[str, LossFunction | None]:
    """The library's name of a loss, or the function that computes it in the graph."""
    if isinstance(loss, str):
        return loss, None
    nn = torch.nn
    if isinstance(loss, nn.CrossEntropyLoss):
        if loss.weight is None and loss.label_smoothing == 0 and loss.ignore_index == -100:
            return "cross-entropy", None
    elif isinstance(loss, nn.BCEWithLogitsLoss):
        if loss.weight is None and loss.pos_weight is None:
            return "bce-with-logits", None
    elif isinstance(loss, nn.MSELoss):
        return "mse", None
    elif isinstance(loss, nn.L1Loss):
        return "l1", None
    elif (isinstance(loss, nn.HuberLoss) and loss.delta == 1) or (isinstance(loss, nn.SmoothL1Loss) and loss.beta == 1):
        return "huber", None
    elif not isinstance(loss, nn.modules.loss._Loss):
        return "output", loss
    raise DponnxError(
        f"{loss} is not one of the losses known by name; give a function (output, target) -> loss of every sample", USAGE
    )


def _announce(module: torch.nn.Module, dataset_size: int | None, rows: int) -> None:
    if dataset_size is None:
        warnings.warn(
            f"N was counted ({rows}): epsilon holds for N public and zero-out adjacency; declare dataset_size",
            PrivacyWarning, stacklevel=3,
        )  # fmt: skip
    kinds = (torch.nn.modules.batchnorm._BatchNorm,)
    if any(isinstance(part, kinds) for part in module.modules()):
        logger.info("running statistics of batch normalisation stay as they are, and count as public")


def _title(module: torch.nn.Module, path: str) -> str:
    """A module by its own path and class."""
    own = path.removeprefix(PREFIX.rstrip(".")).lstrip(".")
    try:
        return f"'{own}' ({type(module.get_submodule(own)).__name__})"
    except AttributeError:
        return f"'{own}'"


def _batch_size(batch_size: int | None, options: dict[str, Any], rows: int) -> int | None:
    if batch_size is None and options.get("sampler", "poisson") != "full":
        return min(256, rows)
    return batch_size


def _example_target(samples: Samples, target: str, values: dict[str, torch.Tensor]) -> torch.Tensor:
    batch = samples.batch([0])
    if target not in batch:
        raise DponnxError(f"the data have no target '{target}'", BAD_INPUT)
    first = next(iter(values.values()))
    value = torch.as_tensor(batch[target]).to(first.device)
    return torch.zeros_like(value).expand(first.shape[0], *value.shape[1:]).contiguous()


def _trainable(path: str, module: torch.nn.Module, used: set[str]) -> list[str]:
    """The file's names of the tensors that hold the parameters that train."""
    trainer = PrivateTrainer(path)
    known = set(trainer._description["tensors"]) | set(trainer._description["other_names"])
    groups: dict[int, list[str]] = {}
    for name, parameter in module.named_parameters(remove_duplicate=False):
        groups.setdefault(id(parameter), []).append(name)
    names, lost, training = [], [], set()
    for group in groups.values():
        if not used.intersection(group):
            if module.get_parameter(group[0]).requires_grad:
                logger.info("parameter '%s' does not reach the output and stays as it is", group[0])
            continue
        training.update(group)
        found = [PREFIX + name for name in group if PREFIX + name in known]
        names.extend(found)
        if not found:
            lost.append(group)
    if not lost:
        return names
    # Without a tensor of their own they may be part of another.
    mapped = {entry["name"]: entry["tensors"] for entry in StateDict(_tensors(module)).report(trainer._session)["mapped"]}
    frozen = {tensor for name, tensors in mapped.items() if name not in training for tensor in tensors}
    for group in lost:
        tensors = [tensor for name in group for tensor in mapped.get(name, [])]
        if not tensors or frozen.intersection(tensors):
            raise DponnxError(
                f"the exporter left no tensor of its own for '{group[0]}'; freeze it (requires_grad = False), or choose "
                "the other exporter", BAD_INPUT,
            )  # fmt: skip
        names.extend(tensor for tensor in tensors if tensor not in names)
    return names


def _load(module: torch.nn.Module, trainer: PrivateTrainer) -> None:
    """Copies the trained values into the module's own parameters."""
    reference = _tensors(module)
    with torch.no_grad():
        for name, value in trainer.state_dict(reference).items():
            if value is not reference[name]:
                reference[name].copy_(value)


def _tensors(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The module's state_dict, in the module's own memory."""
    entries = module.state_dict(keep_vars=True).items()
    return {name: value.detach() for name, value in entries if isinstance(value, torch.Tensor)}


def _progress(trainer: PrivateTrainer, shown: bool) -> Iterable[int]:
    steps = range(trainer.steps_left)
    if not shown:
        return steps
    try:
        from tqdm.auto import tqdm
    except ImportError:
        return steps
    return _bar(tqdm(steps, desc="private training", unit="step"), trainer)


def _bar(bar: Any, trainer: PrivateTrainer) -> Iterator[int]:
    mean: float | None = None
    for step in bar:
        yield step
        loss = trainer.history[-1]["loss"]
        if loss is not None:
            mean = loss if mean is None else mean + 0.1 * (loss - mean)
            bar.set_postfix(loss=f"{mean:.4f}")
