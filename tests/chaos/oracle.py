"""What is true of the jobs of a test: their diary, which outlives every process, against their rows.

A job is *lost* if its row says that it succeeded and no attempt of it ended, or if its row is not final. It
was done *twice* if more than one attempt ended; that is allowed, as often as jobs were in flight when the
fault came. It is *wrong* if its row and the diary tell different stories.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tom_nightshift.models import Job
from tom_nightshift.states import FINAL, State

Told = tuple[int, str, int, int, Any, list[tuple[int, str]]]
"""Of a job: id, state, attempt, losses, what it returned, and how its attempts ended."""


@dataclass
class Verdict:
    """The jobs of a test, and those of them that a fault has harmed."""

    jobs: int
    interrupted: int
    """How often a job's worker died while it ran."""

    lost: dict[int, str] = field(default_factory=dict)
    twice: dict[int, str] = field(default_factory=dict)
    wrong: dict[int, str] = field(default_factory=dict)


def told() -> list[Told]:
    """What the rows say, as plain lists."""
    return [
        (
            job.id,
            str(job.state),
            job.attempt,
            job.losses,
            (job.result or {}).get("value"),
            sorted((attempt.number, attempt.outcome) for attempt in job.attempts.all()),
        )
        for job in Job.objects.order_by("id").prefetch_related("attempts")
    ]


def judge(diary: Path, rows: Iterable[Sequence[Any]]) -> Verdict:
    """Compare the rows with the diary. All jobs are expected to have succeeded."""
    started, ended = _read(diary)
    rows = list(rows)
    verdict = Verdict(len(rows), interrupted=sum(row[3] for row in rows))
    for job_id, state, attempt, losses, value, attempts in rows:
        ends = sorted(number for job, number in ended if job == job_id)
        story = f"{state} at attempt {attempt}, {losses} losses, returned {value}, {attempts}; ends {ends}"
        if state not in FINAL or (state == State.SUCCEEDED and not ends):
            verdict.lost[job_id] = story
        elif problem := _differs(state, attempt, losses, value, attempts, ends):
            verdict.wrong[job_id] = f"{problem}: {story}"
        if len(ends) > 1:
            verdict.twice[job_id] = story
    _who_ran_it(verdict, rows, started)
    return verdict


def _differs(
    state: str, attempt: int, losses: int, value: Any, attempts: Sequence[Any], ends: Sequence[int]
) -> str:
    """In what the row of a final job and its diary differ; empty: in nothing."""
    numbers, outcomes = [number for number, _ in attempts], Counter(outcome for _, outcome in attempts)
    return next(
        (
            words
            for words, is_so in {
                "it did not succeed": state != State.SUCCEEDED,
                "the attempt that the row names did not end": attempt not in ends,
                "its result is another attempt's": value != attempt,
                "an attempt left no trace": numbers != list(range(1, attempt + 1)),
                "an earlier attempt succeeded": outcomes["succeeded"] != 1,
                "its losses were miscounted": outcomes["lost"] != losses,
            }.items()
            if is_so
        ),
        "",
    )


def _who_ran_it(verdict: Verdict, rows: Sequence[Sequence[Any]], started: Counter[tuple[int, int]]) -> None:
    """No attempt ran that no claim counted, and none ran twice."""
    claimed = {row[0]: row[2] for row in rows}
    for (job_id, number), times in started.items():
        if times > 1 or number > claimed.get(job_id, 0):
            verdict.wrong[job_id] = (
                f"attempt {number} ran {times} times, {claimed.get(job_id, 0)} were claimed"
            )


def _read(diary: Path) -> tuple[Counter[tuple[int, int]], Counter[tuple[int, int]]]:
    """(job, attempt) of the starts and of the ends, each with how often."""
    started: Counter[tuple[int, int]] = Counter()
    ended: Counter[tuple[int, int]] = Counter()
    for line in diary.read_text().splitlines():
        what, job_id, number = line.split()
        (started if what == "start" else ended)[int(job_id), int(number)] += 1
    return started, ended
