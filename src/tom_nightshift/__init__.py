"""Nightshift: background tasks for TOMs.

What a task may use::

    from tom_nightshift import Later, TaskError, checkpoint, current_job, progress, result, say, step, warn
    from tom_nightshift import job_folder, whole_file

To ask for several jobs as one whole::

    from tom_nightshift import group

For whoever runs the site::

    from tom_nightshift import pause_queue, resume_queue
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from tom_nightshift.broker.groups import group
    from tom_nightshift.exceptions import Later, TaskError
    from tom_nightshift.ledger.enqueue import enqueue_many
    from tom_nightshift.ledger.folders import job_folder, whole_file
    from tom_nightshift.ledger.holding import pause_queue, resume_queue
    from tom_nightshift.ledger.speaking import checkpoint, current_job, progress, result, say, step, warn

__all__ = [
    "Later",
    "TaskError",
    "__version__",
    "checkpoint",
    "current_job",
    "enqueue_many",
    "group",
    "job_folder",
    "pause_queue",
    "progress",
    "result",
    "resume_queue",
    "say",
    "step",
    "warn",
    "whole_file",
]

_HOME = {
    "Later": "tom_nightshift.exceptions",
    "TaskError": "tom_nightshift.exceptions",
    "enqueue_many": "tom_nightshift.ledger.enqueue",
    "group": "tom_nightshift.broker.groups",
    "job_folder": "tom_nightshift.ledger.folders",
    "pause_queue": "tom_nightshift.ledger.holding",
    "resume_queue": "tom_nightshift.ledger.holding",
    "whole_file": "tom_nightshift.ledger.folders",
}


def __getattr__(name: str) -> Any:
    """Load a public name when it is first asked for (PEP 562): Django imports this package before it is
    ready.
    """
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME.get(name, "tom_nightshift.ledger.speaking")), name)
