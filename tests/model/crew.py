"""The workers as the machine plays them: real rows and lock files, and what each has in hand."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field

from tests.model.world import Token
from tom_nightshift.ledger import presence as presences
from tom_nightshift.ledger.attempt import Attempt
from tom_nightshift.ledger.presence import Presence
from tom_nightshift.ledger.session import Sql

QUEUES = ("default", "slow")


@dataclass(slots=True)
class Hand:
    """An attempt as the process that runs it holds it, and the message it was delivered with."""

    attempt: Attempt
    message: bytes

    @property
    def token(self) -> Token:
        return self.attempt.token


@dataclass(slots=True)
class Worker:
    """One worker process after another in the same place.

    Parameters:
        elsewhere: on another host, so that others know it by its heartbeat alone.
        knows: the tasks that it can run.
        queues: those that it listens to.
    """

    elsewhere: bool
    knows: frozenset[str]
    queues: tuple[str, ...]
    presence: Presence | None = None
    in_hand: list[Hand] = field(default_factory=list)
    missing: set[Token] = field(default_factory=set)
    is_leaving: bool = False

    @property
    def name(self) -> str:
        assert self.presence is not None
        return self.presence.name

    def begin(self, sql: Sql) -> None:
        """Take a name and write the row; what is in hand stays (a worker that was taken for dead)."""
        self.presence, self.is_leaving = Presence(threads=4), False
        self.presence.register(sql, list(self.queues))
        if self.elsewhere:
            sql.run(
                "UPDATE tom_nightshift_worker SET host = 'elsewhere', lock_path = '/of/another/host' "
                "WHERE name = %s",
                [self.name],
            )
            presences._my_nonces.discard(self.presence.nonce)  # or it were known to be of this process

    def die(self) -> None:
        """As the kernel does: the lock is free, its file stays, and what was in hand is forgotten."""
        assert self.presence is not None
        if self.presence._lock is not None:
            os.close(self.presence._lock)
        presences._my_nonces.discard(self.presence.nonce)
        if self.elsewhere:
            self._remove_file(self.presence._path)
        self.presence, self.in_hand, self.missing = None, [], set()

    def give_up_its_name(self) -> None:
        """It was taken for dead: what is in hand stays, under the old name."""
        assert self.presence is not None
        self.presence.release_lock()

    def end_well(self) -> None:
        """Give the lock up, as a worker that has signed off."""
        if self.presence is not None:
            self.presence.release_lock()
        self.presence, self.in_hand, self.missing = None, [], set()

    @staticmethod
    def _remove_file(path: str) -> None:
        with contextlib.suppress(OSError):
            os.unlink(path)
