"""How long a claim takes in a table that holds this or that besides the jobs that are ready."""

from __future__ import annotations

import statistics

from benchmarks.contender import WrongStates
from benchmarks.databases import EMPTY, Fill
from benchmarks.ours import Nightshift

AT_A_TIME = 8
TAKEN = "SELECT count(*) FROM tom_nightshift_job WHERE state = 'running' AND attempt = 1"


def microseconds(contender: Nightshift, jobs: int, kind: str = EMPTY, fill: Fill | None = None) -> float:
    """The median of claims of eight.

    Parameters:
        jobs: how many there are to claim.
        kind: name of the database's template.
        fill: puts into it what is there besides.

    Raises:
        WrongStates: other jobs were claimed.
    """
    contender.fresh(kind, fill)
    contender.send("burst", first=0, count=jobs)
    took: list[float] = contender.stage.call("benchmarks.site.claims", "turns", limit=AT_A_TIME)
    taken = contender.database.rows(TAKEN)[0][0]
    if taken != jobs or len(took) != jobs // AT_A_TIME:
        raise WrongStates(f"of {jobs} jobs {taken} were claimed, in {len(took)} turns")
    return statistics.median(took)
