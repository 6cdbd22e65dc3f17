"""A site that is made to suffer, and the page on which is written how it bore that.

NIGHTSHIFT_CHAOS=long        as many jobs and faults as the published table has (``make chaos``)
NIGHTSHIFT_CHAOS_KILLS=1000  how many processes are killed at random then
NIGHTSHIFT_CHAOS_SEED=7      which faults, when
NIGHTSHIFT_CHAOS_TABLE=file  a line for each fault goes there, as JSON
"""

from __future__ import annotations

import json
import os
import random
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from tests.chaos.oracle import Verdict, judge, told
from tests.support.sites import gate, run_dir
from tests.support.waiting import wait_until
from tests.support.workers import Site
from tom_nightshift import testing
from tom_nightshift.models import Job

__all__ = ["gate", "run_dir"]

LONG = os.environ.get("NIGHTSHIFT_CHAOS") == "long"
RECOVERY = 120.0
"""Seconds after the end of a fault, or of the lease, within which every job must be final."""


@dataclass
class Trial:
    """One fault: its diary, its chance, and its end."""

    diary: Path
    seed: int
    database: str

    def __post_init__(self) -> None:
        self.diary.touch()
        self.chance = random.Random(self.seed)
        self._row: dict[str, Any] = {}

    def ends_well(
        self,
        fault: str,
        *,
        faults: int,
        in_flight: int,
        lease: float = 0.0,
        still_open: Callable[[], bool] = lambda: Job.objects.open().exists(),
        rows: Callable[[], Any] = told,
        again: Callable[[], list[float]] = list,
    ) -> Verdict:
        """The fault is over: every job must be final soon, none lost, none wrong, few done twice.

        Parameters:
            fault: its name in the table.
            faults: how often it came.
            in_flight: how many jobs were running each time, at most.
            lease: seconds that pass before anybody may notice it.
            again: after how many seconds each interrupted job was running again, where that is known.
        """
        began = time.monotonic()
        wait_until(lambda: not still_open(), at_most=lease + RECOVERY, what=f"end of all jobs after {fault}")
        seconds = time.monotonic() - began
        verdict = judge(self.diary, rows())
        self._enter(fault, faults, sorted(again()) or [seconds], verdict)
        assert (verdict.lost, verdict.wrong) == ({}, {}), f"seed {self.seed}"
        assert len(verdict.twice) <= faults * in_flight, f"seed {self.seed}: {verdict.twice}"
        return verdict

    def _enter(self, fault: str, faults: int, seconds: list[float], verdict: Verdict) -> None:
        if table := os.environ.get("NIGHTSHIFT_CHAOS_TABLE"):
            counts = {name: len(getattr(verdict, name)) for name in ("lost", "twice", "wrong")}
            row = {"fault": fault, "database": self.database, "faults": faults, "jobs": verdict.jobs}
            row["interrupted"] = verdict.interrupted
            with Path(table).open("a") as file:
                file.write(json.dumps({**row, **counts, **_summary(seconds)}) + "\n")


def _summary(seconds: list[float]) -> dict[str, float | None]:
    """Median and worst; of one number there is no median."""
    median = round(statistics.median(seconds), 1) if len(seconds) > 1 else None
    return {"median": median, "worst": round(max(seconds), 1)}


@pytest.fixture
def trial(tmp_path: Path) -> Trial:
    """A fault about to come."""
    seed = int(os.environ.get("NIGHTSHIFT_CHAOS_SEED") or random.randrange(1_000_000))
    database = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}[connection.vendor]
    return Trial(tmp_path / "diary", seed, database)


@pytest.fixture
def site(transactional_db: None, run_dir: str, tmp_path: Path) -> Iterator[Site]:
    """The processes of a site with the faults in it; what the test itself sends waits for them."""
    with testing.waiting():
        yield Site(tmp_path, run_dir, {"DJANGO_SETTINGS_MODULE": "tests.settings_chaos"})
