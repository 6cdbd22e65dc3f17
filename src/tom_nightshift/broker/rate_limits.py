"""Dramatiq's ``RateLimiterBackend``: its rate limiters, barriers and groups count in the jobs' database."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from django.db import connections
from dramatiq.rate_limits import RateLimiterBackend

from tom_nightshift.broker.patience import look_until
from tom_nightshift.exceptions import WaitRefused
from tom_nightshift.ledger import values
from tom_nightshift.ledger.session import OwnConnection, Sql, callers_transaction, jobs_alias


class DatabaseRates(RateLimiterBackend):
    """Counters that all processes share. Times to live are in milliseconds, as Dramatiq has them."""

    def add(self, key: str, value: int, ttl: int) -> bool:
        """Add a key that is not there. Whether it was not."""
        with _at_once() as sql:
            return values.add(sql, key, value, ttl / 1000)

    def incr(self, key: str, amount: int, maximum: int, ttl: int) -> bool:
        """Raise a key, at most to a maximum. Whether it could be."""
        with _at_once() as sql:
            return values.change(sql, key, amount, -values.MOST, maximum, ttl / 1000)

    def decr(self, key: str, amount: int, minimum: int, ttl: int) -> bool:
        """Lower a key, at least to a minimum. Whether it could be."""
        with _at_once() as sql:
            return values.change(sql, key, -amount, minimum, values.MOST, ttl / 1000)

    def incr_and_sum(
        self, key: str, keys: Callable[[], Iterable[str]], amount: int, maximum: int, ttl: int
    ) -> bool:
        """Raise a key unless the sum of keys would be above the maximum. Whether it was raised."""
        with _at_once() as sql:
            return values.change_by_sum(sql, key, keys, amount, maximum, ttl / 1000)

    def wait(self, key: str, timeout: int | None) -> bool:
        """Wait until somebody notifies on a key, at most so many milliseconds. Whether somebody did.

        Raises:
            WaitRefused: the caller's own transaction keeps everybody from that.
        """
        connection = connections[jobs_alias()]
        if connection.in_atomic_block and connection.vendor == "sqlite":
            raise WaitRefused(
                f"waiting for {key!r} inside atomic(): on SQLite nobody can write until this transaction has "
                "ended. Wait after the block."
            )
        return bool(look_until(lambda: _read(key), None if timeout is None else timeout / 1000))

    def wait_notify(self, key: str, ttl: int) -> None:
        """Let those who wait on a key go on."""
        self.add(key, 1, ttl)


def _read(key: str) -> int | None:
    with _at_once() as sql:
        return values.read(sql, key)


@contextmanager
def _at_once() -> Iterator[Sql]:
    """A transaction of its own, that others see as soon as it ends, also where the caller has one open.

    But for SQLite: there the caller's keeps all others from writing, and they see it when that ends.
    """
    connection = connections[jobs_alias()]
    if not connection.in_atomic_block or connection.vendor == "sqlite":
        with callers_transaction() as sql:
            yield sql
        return
    aside = OwnConnection()
    try:
        with aside.transaction() as sql:
            yield sql
    finally:
        aside.close()
