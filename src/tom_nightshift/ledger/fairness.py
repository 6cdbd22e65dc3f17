"""Fair share: the number by which jobs of one priority are ordered, given when a job is asked for.

Start-time fair queuing (Goyal, Vin and Cheng, 1996). Each owner has a lane, and all who have none share one.
A job's number is one more than the last of its lane that still waits, or than the virtual time if that is
later: the highest number that is running. So the jobs of two owners take turns, however many one of them has
asked for before; and who comes back after a while has neither saved turns nor lost any.

There is one line for each priority, over all queues, since a process claims over all its queues.
"""

from __future__ import annotations

from typing import Any

from tom_nightshift.ledger.session import Sql

_OF_THOSE_THAT_RUN = "SELECT max(ord) FROM tom_nightshift_job WHERE state = 'running' AND priority = %s"

_BEFORE_THE_FIRST_THAT_IS_READY = (
    "SELECT ord - 1 FROM tom_nightshift_job WHERE state = 'waiting' AND hold = '' AND priority = %s "
    "ORDER BY ord LIMIT 1"
)
"""While nothing runs, time stands there."""


def next_ord(sql: Sql, owner_id: Any, priority: int) -> tuple[str, list[Any]]:
    """SQL for the number of a new job, and its parameters: three looks into indexes, however many wait.

    Parameters:
        owner_id: the key of its owner, or None.
    """
    lane, whose = ("owner_id IS NULL", []) if owner_id is None else ("owner_id = %s", [owner_id])
    last_of_lane = (
        f"SELECT ord FROM tom_nightshift_job WHERE state = 'waiting' AND {lane} AND priority = %s "
        "ORDER BY ord DESC LIMIT 1"
    )
    looks = (_OF_THOSE_THAT_RUN, _BEFORE_THE_FIRST_THAT_IS_READY, last_of_lane)
    latest = "max" if sql.vendor == "sqlite" else "greatest"
    return (
        f"1 + {latest}({', '.join(f'coalesce(({look}), 0)' for look in looks)})",
        [priority, priority, *whose, priority],
    )
