"""What can go wrong, and what should be known."""

from __future__ import annotations

from typing import Any

CHECK_FAILED = 1
USAGE = 64
BAD_INPUT = 65


class DponnxError(RuntimeError):
    """A call that failed: one line that says what, where, and what to do. `code` is the command line's exit status."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class NotTrainableError(DponnxError):
    """The model cannot be trained privately. `problems` holds what `dponnx check --json` prints under that key."""

    def __init__(self, message: str, problems: list[dict[str, Any]]) -> None:
        super().__init__(message, CHECK_FAILED)
        self.problems = problems


class PrivacyWarning(UserWarning):
    """Something that changes what is guaranteed."""
