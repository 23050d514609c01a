"""A PyTorch module as an ONNX file from which its parameters can be told one by one."""

from __future__ import annotations

import contextlib
import importlib.util
import inspect
import io
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch

from .errors import BAD_INPUT, USAGE, DponnxError

logger = logging.getLogger("dponnx")

# What the wrapper puts before the names of the module's parameters.
PREFIX = "module."


class Wrapper(torch.nn.Module):
    """The module with positional inputs and one output, whatever its own signature is.

    With a loss function, the last argument is the target and the loss of every sample the first output.
    """

    def __init__(
        self,
        module: torch.nn.Module,
        names: Sequence[str] | None,
        logits: str | int | None,
        loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] | None,
    ) -> None:
        super().__init__()
        self.module = module
        self._names = list(names) if names is not None else None
        self._logits = logits
        self._loss = loss

    def forward(self, *args: torch.Tensor) -> Any:
        inputs = args[:-1] if self._loss else args
        result = self.module(*inputs) if self._names is None else self.module(**dict(zip(self._names, inputs)))
        output = self._chosen(result)
        return (self._loss(output, args[-1]), output) if self._loss else output

    def _chosen(self, result: Any) -> torch.Tensor:
        if isinstance(result, torch.Tensor):
            return result
        if isinstance(result, Mapping):
            if self._logits is not None:
                return result[self._logits]
            return result["logits"] if "logits" in result else next(iter(result.values()))
        return result[self._logits or 0]


class Inputs:
    """Example inputs by name, and whether the module takes them by name."""

    def __init__(self, module: torch.nn.Module, example: Any) -> None:
        if isinstance(example, Mapping):
            self.by_keyword = True
            values = {name: value for name, value in example.items() if isinstance(value, torch.Tensor)}
        else:
            self.by_keyword = False
            parts = tuple(example) if isinstance(example, (tuple, list)) else (example,)
            values = dict(zip(_positional_names(module, len(parts)), parts))
        if not values or not all(isinstance(value, torch.Tensor) and value.ndim for value in values.values()):
            raise DponnxError("example_inputs is a tensor, a tuple or a dict of tensors with a batch axis", USAGE)
        device = next(module.parameters()).device
        # Exporters take a size of 1 for a constant.
        self.values = {
            name: torch.cat([value, value]) if value.shape[0] == 1 else value for name, value in values.items()
        }
        self.values = {name: value.detach().to(device) for name, value in self.values.items()}
        self.names = list(self.values)


def _positional_names(module: torch.nn.Module, count: int) -> list[str]:
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    names = [name for name, entry in inspect.signature(module.forward).parameters.items() if entry.kind in kinds]
    return [names[index] if index < len(names) else f"input_{index}" for index in range(count)]


@contextlib.contextmanager
def evaluation_mode(module: torch.nn.Module) -> Iterator[None]:
    """Dropout off, running statistics used and kept, no cache of keys and values; all is restored afterwards."""
    modes = {part: part.training for part in module.modules()}
    configuration = getattr(module, "config", None)
    use_cache = getattr(configuration, "use_cache", None)
    module.eval()
    if use_cache:
        configuration.use_cache = False
    try:
        yield
    finally:
        for part, mode in modes.items():
            part.training = mode
        if use_cache:
            configuration.use_cache = use_cache


def used_parameters(wrapper: Wrapper, arguments: tuple[torch.Tensor, ...]) -> set[str]:
    """Names of the module's parameters, all of those that share memory, which its output depends on and which train."""
    named = [(name, p) for name, p in wrapper.module.named_parameters(remove_duplicate=False) if p.requires_grad]
    if not named:
        raise DponnxError("no parameter of the module has requires_grad set", USAGE)
    with torch.enable_grad():
        output = wrapper(*arguments)
        total = (output[0] if isinstance(output, tuple) else output).float().sum()
        if not total.requires_grad:
            raise DponnxError("the module's output does not depend on a parameter that has requires_grad set", USAGE)
        gradients = torch.autograd.grad(total, [p for _, p in named], allow_unused=True)
    return {name for (name, _), gradient in zip(named, gradients) if gradient is not None}


def export(
    wrapper: Wrapper, inputs: Mapping[str, torch.Tensor], outputs: Sequence[str], path: str, exporter: str = "auto"
) -> str:
    """Writes the ONNX file and returns the exporter that made it: "dynamo" or "torchscript".

    Nothing is folded or optimised, so that every parameter keeps its name, its layout and an initializer of its own.
    """
    if exporter not in ("auto", "dynamo", "torchscript"):
        raise DponnxError("exporter is 'auto', 'dynamo' or 'torchscript'", USAGE)
    order = ["dynamo", "torchscript"] if exporter == "auto" else [exporter]
    if exporter == "auto" and importlib.util.find_spec("onnxscript") is None:
        logger.warning("onnxscript is not installed, so the model is exported by TorchScript")
        order = ["torchscript"]
    failures = []
    for name in order:
        try:
            _EXPORTERS[name](wrapper, inputs, outputs, path)
            return name
        except Exception as error:  # whatever an exporter may raise
            failures.append(f"{name}: {_first_line(error)}")
            if name != order[-1]:
                logger.warning("exporting by %s failed (%s); trying %s", name, _first_line(error), order[-1])
    raise DponnxError("the module cannot be exported to ONNX: " + "; ".join(failures), BAD_INPUT)


def _by_dynamo(
    wrapper: Wrapper, inputs: Mapping[str, torch.Tensor], outputs: Sequence[str], path: str
) -> None:
    batch = torch.export.Dim("batch")
    with _quiet():
        torch.onnx.export(
            wrapper,
            tuple(inputs.values()),
            path,
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_shapes={"args": tuple({0: batch} for _ in inputs)},
            dynamo=True,
            optimize=False,
            verbose=False,
            external_data=_is_large(wrapper),
        )


def _by_torchscript(
    wrapper: Wrapper, inputs: Mapping[str, torch.Tensor], outputs: Sequence[str], path: str
) -> None:
    # TorchScript merges initializers of equal value unless it takes the program for one in training. The wrapper's flag
    # says so; the modules inside stay as they are.
    wrapper.training = True
    try:
        with _quiet():
            torch.onnx.export(
                wrapper,
                tuple(inputs.values()),
                path,
                input_names=list(inputs),
                output_names=list(outputs),
                dynamic_axes={name: {0: "batch"} for name in [*inputs, *outputs]},
                dynamo=False,
                export_params=True,
                do_constant_folding=False,
                training=torch.onnx.TrainingMode.PRESERVE,
                verbose=False,
            )
    finally:
        wrapper.training = False


_EXPORTERS = {"dynamo": _by_dynamo, "torchscript": _by_torchscript}


def _is_large(wrapper: Wrapper) -> bool:
    """Whether the weights do not fit into one file of at most 2 GiB."""
    sizes = [tensor.numel() * tensor.element_size() for tensor in wrapper.state_dict().values()]
    return sum(sizes) > 1 << 30


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Exporters print their progress, and warn of what is of no concern here."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


def _first_line(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:300]
