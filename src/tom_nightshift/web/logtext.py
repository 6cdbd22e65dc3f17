"""What a job said: the end of it for its page, all of it for reading."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django.db.models import Count, Max, Sum
from django.db.models.functions import Length

from tom_nightshift.models import Job, Log
from tom_nightshift.web.words import nth_try

SHOWN = 16_000
"""Characters of the log that the page shows: it stays light, and is sent again whenever there is more."""


@dataclass(frozen=True, slots=True)
class LogEnd:
    """The end of a log."""

    text: str
    is_cut: bool


def version(job: Job) -> str:
    """Changes whenever the log does."""
    numbers = Log.objects.filter(job=job).aggregate(n=Count("id"), a=Max("attempt"), size=Sum(Length("text")))
    return f"{numbers['a'] or 0}.{numbers['n']}.{numbers['size'] or 0}"


def end_of(job: Job) -> LogEnd:
    """The end of the log, in whole lines."""
    pieces: list[str] = []
    size = 0
    for piece in _pieces(job):
        pieces.append(piece)
        size += len(piece)
        if size > SHOWN:
            break
    text = "".join(reversed(pieces))
    if len(text) <= SHOWN:
        return LogEnd(text, is_cut=False)
    _, _, whole_lines = text[-SHOWN:].partition("\n")
    return LogEnd(whole_lines, is_cut=True)


def whole(job: Job) -> Iterator[str]:
    """The whole log, in pieces."""
    attempt = None
    for log in Log.objects.filter(job=job).iterator(chunk_size=50):
        if attempt is not None and log.attempt != attempt:
            yield _heading(log.attempt)
        attempt = log.attempt
        yield log.text


def _pieces(job: Job) -> Iterator[str]:
    """Pieces of the log, the last one first, with a heading where a further try begins."""
    later = None
    for log in Log.objects.filter(job=job).order_by("-attempt", "-seq").iterator(chunk_size=20):
        if later is not None and log.attempt != later:
            yield _heading(later)
        later = log.attempt
        yield log.text


def _heading(attempt: int) -> str:
    return f"---- {nth_try(attempt)} ----\n"
