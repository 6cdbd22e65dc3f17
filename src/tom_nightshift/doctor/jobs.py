"""How jobs ended in the last day: failures and their most frequent reason, and what was set aside."""

from __future__ import annotations

from collections.abc import Iterator

from tom_nightshift.doctor.findings import Finding, fine, warning
from tom_nightshift.ledger.session import Sql

DAY = 86_400.0

SAID = 120
"""Characters shown of an error."""


def failed_lately(sql: Sql) -> Iterator[Finding]:
    """Few jobs failed."""
    reasons = sql.rows(
        "SELECT task, reason, count(*), max(error) FROM tom_nightshift_job WHERE state IN ('failed', 'lost') "
        f"AND reason <> 'poison' AND finished_at > {sql.after(-DAY)} "
        "GROUP BY task, reason ORDER BY count(*) DESC, task, reason"
    )
    ended = sql.rows(f"SELECT count(*) FROM tom_nightshift_job WHERE finished_at > {sql.after(-DAY)}")[0][0]
    if not reasons:
        yield fine(f"none of the {ended} jobs that ended in the last day failed.")
        return
    task, reason, often, error = reasons[0]
    failed = sum(row[2] for row in reasons)
    yield warning(
        "jobs-failed",
        f"{failed} of the {ended} jobs that ended in the last day failed, most often {task} ({often} × "
        f"{reason}: {_short(error)}).",
        "See their pages.",
    )


def were_set_aside(sql: Sql) -> Iterator[Finding]:
    """None took its worker down again and again."""
    aside = sql.rows(
        "SELECT task, count(*), max(id) FROM tom_nightshift_job WHERE state = 'failed' AND reason = 'poison' "
        f"AND finished_at > {sql.after(-DAY)} GROUP BY task ORDER BY task"
    )
    for task, jobs, last in aside:
        yield warning(
            "jobs-set-aside",
            f"{jobs} jobs of {task} (the last is {last}) were set aside in the last day: each crashed its "
            "worker again and again.",
            "Look for memory that ran out, or a fault in a C library, in the system's log; then Run again.",
        )
    if not aside:
        yield fine("none was set aside in the last day.")


def _short(error: str) -> str:
    line = error.strip().partition("\n")[0]
    return line if len(line) <= SAID else f"{line[: SAID - 1]}…"
