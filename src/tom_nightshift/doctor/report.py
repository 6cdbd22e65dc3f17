"""The doctor's words: a line each for a person, or JSON for a machine."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence

from tom_nightshift.doctor.findings import Level
from tom_nightshift.doctor.rounds import Examined

Style = Mapping[Level, Callable[[str], str]]


def line(examined: Examined, style: Style) -> str:
    """One line, coloured by its level."""
    found = examined.finding
    name = f" [{found.name}]" if found.name else ""
    words = f"{found.what} {found.todo}".strip()
    return f"{style[found.level](f'{found.level:<8}')} {examined.subject}: {words}{name}"


def summary(found: Sequence[Examined], style: Style) -> str:
    """The last line: how much of each."""
    faults, warnings = (
        sum(one.finding.level == level for one in found) for level in (Level.FAULT, Level.WARNING)
    )
    worst = Level.FAULT if faults else Level.WARNING if warnings else Level.FINE
    if worst == Level.FINE:
        return style[worst]("All is well.")
    return style[worst](f"{_counted(faults, 'fault')}, {_counted(warnings, 'warning')}.")


def as_json(found: Sequence[Examined]) -> str:
    """All of it: ``{"ok": …, "findings": [{"subject", "level", "name", "what", "todo"}, …]}``."""
    findings = [
        {
            "subject": one.subject,
            "level": one.finding.level,
            "name": one.finding.name,
            "what": one.finding.what,
            "todo": one.finding.todo,
        }
        for one in found
    ]
    return json.dumps({"ok": not has_faults(found), "findings": findings}, indent=1, ensure_ascii=False)


def has_faults(found: Sequence[Examined]) -> bool:
    """Whether anything needs mending."""
    return any(one.finding.level == Level.FAULT for one in found)


def _counted(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"
