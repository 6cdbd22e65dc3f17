"""Nightshift: background tasks for TOMs.

What a task may use::

    from tom_nightshift import TaskError, checkpoint, current_job, progress, result, step, warn
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from tom_nightshift.exceptions import TaskError
    from tom_nightshift.ledger.speaking import checkpoint, current_job, progress, result, step, warn

__all__ = ["TaskError", "__version__", "checkpoint", "current_job", "progress", "result", "step", "warn"]

_HOME = {"TaskError": "tom_nightshift.exceptions"} | dict.fromkeys(
    ("checkpoint", "current_job", "progress", "result", "step", "warn"), "tom_nightshift.ledger.speaking"
)


def __getattr__(name: str) -> Any:
    """Load a public name when it is first asked for (PEP 562): Django imports this package before it is
    ready.
    """
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOME[name]), name)
