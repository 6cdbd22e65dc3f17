"""Nightshift as a contender: what it needs, and how the truth about its jobs is found."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks import databases
from benchmarks.agreed import COUNTER, DATABASE
from benchmarks.contender import Contender
from benchmarks.databases import Database, Fill
from benchmarks.figures import Values
from benchmarks.stage import ROOT, Stage
from tom_nightshift import __version__

ROW = "SELECT id, state, attempt, failures + losses, owner_id, subject_id, result FROM tom_nightshift_job"
OPEN = "SELECT count(*) FROM tom_nightshift_job WHERE state IN ('waiting', 'running')"
WAITING = (
    "SELECT count(*) FROM tom_nightshift_job WHERE state = 'waiting' AND hold = '' "
    "AND owner_id IS NOT NULL AND subject_id IS NOT NULL"
)
WITHOUT_LOG = (
    "SELECT count(*) FROM tom_nightshift_job j "
    "WHERE NOT EXISTS (SELECT 1 FROM tom_nightshift_log l WHERE l.job_id = j.id)"
)
NAMES = {"sqlite": "Nightshift, SQLite", "postgres": "Nightshift, PostgreSQL"}


class Nightshift(Contender):
    """Nightshift on one database.

    Parameters:
        settings: the module with the site's settings.
    """

    sender = "benchmarks.site.sending"
    ready = " is ready: "

    def __init__(self, stage: Stage, database: Database, settings: str) -> None:
        super().__init__(stage)
        self.database = database
        self.name = NAMES[database.name]
        self._counter = stage.folder / "statements"
        self._counter.touch()
        stage.environment |= {DATABASE: database.address, "DJANGO_SETTINGS_MODULE": settings}

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Programs that are started in here count their statements, for ``statements_so_far``."""
        self.stage.environment[COUNTER] = str(self._counter)
        yield
        del self.stage.environment[COUNTER]

    def fresh(self, kind: str = databases.EMPTY, fill: Fill | None = None) -> None:
        """Begin with a new database; as `Database.fresh`."""
        self.database.fresh(kind, fill)

    def command(self, processes: int, threads: int) -> list[str]:
        shape = ["--processes", str(processes), "--threads", str(threads)]
        return ["-m", "benchmarks.site.manage", "nightshift", *shape]

    def server(self) -> list[int]:
        return self.database.server()

    def waiting(self) -> int:
        return int(self.database.rows(WAITING)[0][0])

    def statements(self) -> Values:
        counted: Values = self.stage.call("benchmarks.site.counting", "statements")
        return counted

    def open_jobs(self) -> int:
        return int(self.database.rows(OPEN)[0][0] or self.database.rows(WITHOUT_LOG)[0][0])

    def wrong(self, numbers: Collection[int]) -> str:
        attempts: dict[int, str] = dict(
            self.database.rows("SELECT job_id, outcome FROM tom_nightshift_attempt")
        )
        logs: dict[int, str] = dict(self.database.rows("SELECT job_id, text FROM tom_nightshift_log"))
        seen, wrong = set(), []
        for job_id, state, attempt, troubles, owner, subject, result in self.database.rows(ROW):
            number = _returned(result)
            seen.add(number)
            line = f"this is number {number}"
            well = (state, attempt, troubles, attempts.get(job_id)) == ("succeeded", 1, 0, "succeeded")
            if not (well and owner and subject and line in logs.get(job_id, "")):
                wrong.append(f"job {job_id} is {state}, attempt {attempt}, {attempts.get(job_id)}, {result}")
        missing = len(set(numbers) - seen)
        return f"{len(wrong)} rows are wrong, {missing} missing: {wrong[:3]}" if wrong or missing else ""

    def statements_so_far(self) -> int:
        return self._counter.stat().st_size

    def described(self) -> str:
        return self.database.described()


def _returned(result: Any) -> Any:
    """The number that a job returned, from its column: text on SQLite, JSON on PostgreSQL."""
    stored = json.loads(result) if isinstance(result, str) else result
    return (stored or {}).get("value", {}).get("number")


def version() -> str:
    """Nightshift's version, and the commit where this is a clone."""
    asked = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    commit = f" at {asked.stdout.strip()}" if asked.returncode == 0 else ""
    return f"Nightshift {__version__}{commit}"


@contextmanager
def opened(name: str, folder: Path, settings: str = "benchmarks.site.settings") -> Iterator[Nightshift]:
    """Nightshift on the database of this name, with a stage of its own."""
    (place := folder / name).mkdir(exist_ok=True)
    stage = Stage(place, {"DJANGO_SETTINGS_MODULE": settings})

    def migrate(address: str) -> None:
        stage.environment |= {DATABASE: address}
        stage.run("-m", "benchmarks.site.manage", "migrate", "--verbosity=0")
        stage.call("benchmarks.site.people", "make")

    with databases.opened(name, place, migrate) as database:
        yield Nightshift(stage, database, settings)
