"""What a job waits for that may not begin yet for others of its key: in the reader's words, with numbers."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from django.db import connections

from tom_nightshift.ledger import admission
from tom_nightshift.ledger.session import Sql, jobs_alias
from tom_nightshift.models import Job
from tom_nightshift.states import Hold, State
from tom_nightshift.web import words

_PERIODS = {1: "second", 60: "minute", 3_600: "hour", 86_400: "day"}


def turn(job: Job) -> str:
    """``Waiting for ATLAS: 2 of 2 in use.`` Empty for a job that waits for no limit and no rate.

    Read without a transaction, which would take SQLite's write lock.
    """
    if job.state != State.WAITING or job.hold not in (Hold.LIMIT, Hold.RATE):
        return ""
    sql = Sql(connections[jobs_alias()])
    return _for_a_slot(job, sql) if job.hold == Hold.LIMIT else _for_its_rate(job, sql)


def _for_a_slot(job: Job, sql: Sql) -> str:
    number, in_use = admission.use_of(sql, job.limit_key)
    if in_use < number:
        return f"{_waiting_for(job, job.limit_key)}: it may begin at any moment."
    return f"{_waiting_for(job, job.limit_key)}: {in_use} of {number} in use."


def _for_its_rate(job: Job, sql: Sql) -> str:
    pace = next((pace for pace in admission.paces(sql) if pace.key == job.rate_key), None)
    if pace is None:  # let go since the row was read
        return f"{_waiting_for(job, job.rate_key)}: it may begin at any moment."
    opens = pace.window.opens_at()
    when = f"at {words.moment(datetime.fromtimestamp(opens, UTC))}" if opens > pace.now else "at any moment"
    most = pace.window.number
    period = _PERIODS.get(round(pace.window.period), f"{pace.window.period:g} s")
    return f"{_waiting_for(job, job.rate_key)}: at most {most} a {period}, the next may begin {when}."


def _waiting_for(job: Job, key: str) -> str:
    """A key is shown as its task has it; what only tells long ones apart is not."""
    return (
        "Waiting for others of its kind"
        if key == job.task
        else f"Waiting for {re.sub(r'#[0-9a-f]{32}$', '', key)}"
    )
