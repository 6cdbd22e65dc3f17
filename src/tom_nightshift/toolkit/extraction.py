"""Finding sources in images: whether it can be done here, and the task.

The task is astronomy and stands a floor higher, so it is found by its dotted name.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from dramatiq import Actor

TASK = "tom_nightshift.astro.tasks.extract"
NEEDS = ("astropy", "numpy", "PIL", "sep")


def is_possible() -> bool:
    """Whether what it needs is installed (``pip install 'tom-nightshift[astro]'``)."""
    return all(find_spec(name) is not None for name in NEEDS)


def task() -> Actor[Any, Any]:
    """The task ``extract_sources``."""
    found: Actor[Any, Any] = import_module(TASK).extract_sources
    return found
