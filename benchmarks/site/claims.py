"""What a worker's dispatcher asks the database for at each of its turns, timed."""

from __future__ import annotations

import time

from benchmarks.site.start import start

WORKER = "a worker that is measured"
QUEUES = ("default",)


def turns(limit: int) -> list[float]:
    """Claim all there is, ``limit`` at a time; microseconds that each claim took, without its commit."""
    start()
    from tom_nightshift.ledger.session import OwnConnection

    connection = OwnConnection()
    took = []
    while spent := _turn(connection, limit):
        took.append(spent)
    connection.close()
    return took


def _turn(connection: object, limit: int) -> float:
    """Microseconds, or 0 if there was nothing left."""
    from tom_nightshift.ledger import moves

    with connection.transaction() as sql:  # type: ignore[attr-defined]
        moment = time.perf_counter()
        moves.worth_claiming(sql, QUEUES)
        moves.release_due(sql)
        claimed = moves.claim(sql, WORKER, QUEUES, limit)
        spent = (time.perf_counter() - moment) * 1e6
    return spent if claimed else 0.0
