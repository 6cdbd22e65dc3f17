"""Who hears a signal of the broker's.

Dramatiq calls every hook of every middleware, eight times a job, and most of them are the empty ones of
``Middleware``: as long as it takes to claim the job. Here those are left out.
"""

from __future__ import annotations

from collections.abc import Sequence

from dramatiq import Middleware


class Listeners:
    """Of a list of middleware, those that have a hook of their own."""

    def __init__(self) -> None:
        self._of: tuple[Middleware, ...] = ()
        self._that_hear: dict[str, tuple[Middleware, ...]] = {}

    def that_hear(self, hook: str, middleware: Sequence[Middleware]) -> tuple[Middleware, ...]:
        """Those that have this hook, in their order; found again when the list has changed."""
        if self._of != (of := tuple(middleware)):
            self._of, self._that_hear = of, {}
        found = self._that_hear.get(hook)
        if found is None:
            found = self._that_hear[hook] = tuple(one for one in of if _has(one, hook))
        return found


def _has(middleware: Middleware, hook: str) -> bool:
    """Whether its hook is another than the empty one. What is not a method of a class may do anything."""
    empty = getattr(Middleware, hook, None)
    return empty is None or getattr(getattr(middleware, hook, None), "__func__", None) is not empty
