"""The attempts that a worker process has in hand: from their claim until their outcome is written."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from dramatiq.middleware import Shutdown

from tom_nightshift.ledger import ending
from tom_nightshift.ledger.attempt import Attempt
from tom_nightshift.ledger.moves import Token


class InHand(dict[Token, Attempt]):
    """By token. One thread adds, two remove; any may look."""

    def __init__(self) -> None:
        super().__init__()
        self.on_added: Callable[[], None] = lambda: None
        """Called after each that is added: whoever watches them may have been asleep."""

    def __setitem__(self, token: Token, attempt: Attempt) -> None:
        super().__setitem__(token, attempt)
        self.on_added()

    def all(self) -> list[Attempt]:
        """The attempts, as they are now."""
        return list(self.values())

    def held(self) -> list[Token]:
        """Those that are really held: not those whose thread has died."""
        return [attempt.token for attempt in self.all() if attempt.has_a_thread]

    def let_go(self, tokens: Iterable[Token]) -> None:
        """Hold these no more: their rows were put back."""
        for token in tokens:
            self.pop(token, None)

    @property
    def can_end(self) -> bool:
        """Whether there is any that may still end by itself."""
        return any(not attempt.stuck for attempt in self.all())

    def stuck(self) -> list[Attempt]:
        """Those that only the end of this process will end."""
        return [attempt for attempt in self.all() if attempt.stuck]

    def interrupt(self, seconds: float | None = None) -> None:
        """End them all: this worker is leaving, or they were given to others.

        Parameters:
            seconds: until one is killed that runs in a process of its own.
        """
        for attempt in self.all():
            if not attempt.stuck:
                attempt.ending = ending.interrupt(Shutdown, seconds)
