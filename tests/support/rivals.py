"""Threads that want the same thing at the same moment, and locks held by somebody else meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connections

from tom_nightshift.ledger.session import OwnConnection, Sql


def race(count: int, act: Callable[[int], Any]) -> list[Any]:
    """Start ``count`` threads at one barrier; what each of them got, or raised."""
    barrier = threading.Barrier(count)
    got: list[Any] = [None] * count

    def run(number: int) -> None:
        try:
            barrier.wait()
            got[number] = act(number)
        except Exception as error:  # noqa: BLE001 - the test looks at it
            got[number] = error
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return got


@contextmanager
def holding(lock: Callable[[Sql], object]) -> Iterator[None]:
    """Another connection takes a lock by these statements, and rolls back when the block ends."""
    connection = OwnConnection()
    try:
        with connection.transaction() as sql:
            lock(sql)
            yield
            raise _Undo
    except _Undo:
        pass
    finally:
        connection.close()


class _Undo(Exception):
    pass
