"""Private fine-tuning of PyTorch modules and ONNX models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .errors import DponnxError, NotTrainableError, PrivacyWarning
from .trainer import BatchSampler, PrivateTrainer

if TYPE_CHECKING:
    from .fine_tuning import FineTuningResult, fine_tune

__all__ = [
    "BatchSampler",
    "DponnxError",
    "FineTuningResult",
    "NotTrainableError",
    "PrivacyWarning",
    "PrivateTrainer",
    "fine_tune",
]


def __getattr__(name: str) -> Any:
    """`fine_tune` needs PyTorch, the rest does not."""
    if name in ("fine_tune", "FineTuningResult"):
        from . import fine_tuning

        return getattr(fine_tuning, name)
    raise AttributeError(f"module 'dponnx' has no attribute '{name}'")
