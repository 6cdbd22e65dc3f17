"""Text and JSON that every database takes, whatever a task or its errors contain.

PostgreSQL refuses NUL characters, half surrogates, NaN in JSON, and text longer than its column: one such
character in an error message must not keep an outcome from its row.
"""

from __future__ import annotations

import json
import re
from typing import Any

INSTEAD = "\N{REPLACEMENT CHARACTER}"

_REFUSED = re.compile("[\x00\ud800-\udfff]")
_ESCAPE = re.compile(r"\\(u0000|.)")


def text(value: object, limit: int | None = None) -> str:
    """The value as text that can be stored, cut to so many characters."""
    try:
        words = str(value)
    except Exception:  # noqa: BLE001 - an error whose own __str__ fails still has a name
        words = f"({type(value).__name__})"
    return _REFUSED.sub(INSTEAD, words if limit is None or len(words) <= limit else words[: limit - 1] + "…")


def as_json(value: Any, *, sort_keys: bool = False) -> str:
    """The value as JSON that can be stored.

    Raises:
        TypeError, ValueError: JSON cannot hold it: its type, NaN, or a value inside itself.
    """
    try:
        encoded = json.dumps(value, allow_nan=False, ensure_ascii=False, sort_keys=sort_keys)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    return _REFUSED.sub(INSTEAD, _ESCAPE.sub(_without_nul, encoded))


def _without_nul(escape: re.Match[str]) -> str:
    return INSTEAD if escape[1] == "u0000" else escape[0]
