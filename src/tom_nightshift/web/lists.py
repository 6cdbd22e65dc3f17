"""A page of a list of jobs, newest first, which reads no more however many jobs there are.

Nothing is counted. An index gives the jobs that a list may hold, newest first. Where more is asked than an
index knows, such as rights, the newest are looked at, then those before them, up to a number; whatever lies
further back is a link away.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tom_nightshift.models import Job, JobQuerySet

LOOKS = (100, 1_000, 9_000)
"""Jobs looked at, one look after the other, until a page is full."""

HEAVY = ("message", "saved", "stages")
"""Columns that no list shows."""


@dataclass(frozen=True, slots=True)
class Found:
    """A page of a list."""

    jobs: list[Job]
    older: int | None
    """The next page holds jobs older than this one; None: there is none."""

    is_partial: bool
    """Whether the page has room left, and not all that is older was looked at."""


def newest(
    candidates: JobQuerySet,
    size: int,
    *,
    before: int | None = None,
    among: JobQuerySet | None = None,
    firsts: bool = False,
) -> Found:
    """The newest jobs of a list.

    Parameters:
        candidates: what the list may hold, newest first, as an index has it.
        size: so many make a page.
        before: only jobs older than this one.
        among: only jobs that are among these, too.
        firsts: leave out a job whose first one the list holds.
    """
    found: list[int] = []
    edge, is_end = before, False
    for look in LOOKS:
        window = _window(candidates, edge, look)
        is_end = len(window) < look
        edge = window[-1] if window else edge
        found += _belonging(window, candidates, among, firsts=firsts)
        if is_end or len(found) > size:
            break
    if len(found) > size:
        return Found(_loaded(found[:size]), found[size - 1], is_partial=False)
    return Found(_loaded(found), None if is_end else edge, is_partial=not is_end)


def _window(candidates: JobQuerySet, before: int | None, size: int) -> list[int]:
    older = candidates if before is None else candidates.filter(pk__lt=before)
    return list(older.values_list("pk", flat=True)[:size])


def _belonging(
    window: Sequence[int], candidates: JobQuerySet, among: JobQuerySet | None, *, firsts: bool
) -> list[int]:
    """Those of a window that belong in the list. They are asked for by their ids, so that no planner can go
    through the table for what it asks besides.
    """
    if among is None and not firsts:
        return list(window)
    chosen = Job.objects.all() if among is None else among
    rows = list(chosen.filter(pk__in=window).newest_first().values_list("pk", "root"))
    if not firsts:
        return [pk for pk, _ in rows]
    roots = {root for _, root in rows if root is not None}
    there = set(candidates.order_by().filter(pk__in=roots).values_list("pk", flat=True)) if roots else set()
    listed = set(chosen.filter(pk__in=there).values_list("pk", flat=True)) if there else set()
    return [pk for pk, root in rows if root not in listed]


def _loaded(ids: Sequence[int]) -> list[Job]:
    found = Job.objects.filter(pk__in=ids).select_related("owner").defer(*HEAVY)
    return list(found.newest_first())
