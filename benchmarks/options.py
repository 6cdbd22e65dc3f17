"""The words behind ``python -m benchmarks`` and behind each of its parts."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

from benchmarks import rivals

DATABASES = ("sqlite", "postgres")


@dataclass(frozen=True)
class Size:
    """How much is done."""

    runs: int = 5
    """Runs of each contender, in alternation."""

    jobs: int = 5_000
    """Jobs in one drain, and sent one by one."""

    many: int = 10_000
    """Jobs in one call of ``enqueue_many``."""

    pickups: int = 300
    """Jobs sent to idle workers, one at a time."""

    pairs: int = 20
    """Pairs of jobs sent to idle workers."""

    idle: float = 60.0
    """Seconds for which idle workers are watched."""

    busy: float = 15.0
    """Seconds for which a site writes beside its workers."""

    finished: int = 1_000_000
    """Jobs that ended before."""

    held: int = 100_000
    """Jobs in front that may not begin."""

    claimed: int = 800
    """Jobs that are claimed, eight at a time."""

    pages: int = 20
    """Times that a page is asked for."""

    snapshot: float = 20.0
    """Seconds for which an old snapshot is held open."""

    def changed(self) -> str:
        """What is not as by default, in words; runs are counted elsewhere."""
        mine = {size.name: getattr(self, size.name) for size in fields(self) if size.name != "runs"}
        return ", ".join(f"{name} {value:,}" for name, value in mine.items() if value != getattr(Size, name))


LONG = Size(snapshot=600.0)


@dataclass(frozen=True)
class Options:
    """What was asked for."""

    size: Size = Size()
    databases: Sequence[str] = DATABASES
    rivals: Sequence[str] = ()
    parts: Sequence[str] = ()
    table: Path | None = None
    page: bool = False


def parse(words: Sequence[str], about: str, parts: Sequence[str] = ()) -> Options:
    """Read them; a word that makes no sense ends the program with a sentence.

    Parameters:
        parts: the names to choose from; empty: this is the command of one part.
    """
    parser = ArgumentParser(description=about)
    for size in fields(Size):
        parser.add_argument(f"--{size.name}", type=type(size.default), help=f"default {size.default:,}")
    parser.add_argument("--long", action="store_true", help="as long as the figures that are published need")
    parser.add_argument("--database", choices=DATABASES, nargs="+", default=DATABASES)
    parser.add_argument("--rivals", choices=["none", *rivals.names()], nargs="+", default=rivals.names())
    if parts:
        parser.add_argument("--parts", choices=parts, nargs="+", default=parts)
        parser.add_argument(
            "--table", type=Path, help="a file: what is measured is added; the page shows the newest"
        )
        parser.add_argument("--page", action="store_true", help="write docs/explain/benchmarks.md")
    given = parser.parse_args(words)
    chosen = {size.name: getattr(given, size.name) for size in fields(Size) if getattr(given, size.name)}
    return Options(
        size=replace(LONG if given.long else Size(), **chosen),
        databases=given.database,
        rivals=[rival for rival in given.rivals if rival != "none"],
        parts=getattr(given, "parts", ()),
        table=getattr(given, "table", None),
        page=getattr(given, "page", False),
    )
