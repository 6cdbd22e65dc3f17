"""What an examination finds: fine, a warning, or a fault, in one sentence, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad it is."""

    FINE = "fine"
    WARNING = "warning"
    """It works, but not as well as it could, or not for long."""

    FAULT = "fault"
    """Jobs do not run, or work may be lost."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's."""

    level: Level
    name: str
    """Stable, for machines and for the page that explains it; empty if all is fine."""

    what: str
    """A sentence, with the values."""

    todo: str = ""
    """What to do, in a sentence."""


def fine(what: str) -> Finding:
    """Nothing to do."""
    return Finding(Level.FINE, "", what)


def warning(name: str, what: str, todo: str) -> Finding:
    """It works, but not as well as it could, or not for long."""
    return Finding(Level.WARNING, name, what, todo)


def fault(name: str, what: str, todo: str) -> Finding:
    """Jobs do not run, or work may be lost."""
    return Finding(Level.FAULT, name, what, todo)
