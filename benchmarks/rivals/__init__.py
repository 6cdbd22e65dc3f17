"""What Nightshift is measured beside. Each file has ``opened(folder)``, a context that gives a `Contender`.

To add one: a file here whose name is what ``--rivals`` says, and its packages in ``requirements/``.
"""

from __future__ import annotations

import importlib
import pkgutil
from contextlib import AbstractContextManager
from pathlib import Path

from benchmarks.contender import Contender


def names() -> list[str]:
    """All there are."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def opened(name: str, folder: Path) -> AbstractContextManager[Contender]:
    """The rival of this name, with its servers."""
    context: AbstractContextManager[Contender] = importlib.import_module(f"{__name__}.{name}").opened(folder)
    return context
