"""SQLite under a stock TOM: pages are read and written all the while jobs write too. Nothing is locked."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sqlite3
import tempfile
from contextlib import closing

import pytest

from tests.chaos.conftest import LONG
from tests.chaos.visitors import Visitor
from tests.support.toms import as_tom_setup_leaves_it, with_our_tables
from tests.support.toms import migrated as tom
from tests.support.workers import ROOT, Site
from tom_nightshift.states import FINAL

__all__ = ["as_tom_setup_leaves_it", "tom", "with_our_tables"]

pytestmark = [pytest.mark.tom, pytest.mark.timeout(1800)]

JOBS = 2000 if LONG else 200
VISITORS = 2

TASKS = """
import dramatiq
from tests.chaos.tasks import entries
from tom_nightshift import progress
from tom_targets.models import Target


@dramatiq.actor
def observe(diary: str, number: int) -> int:
    with entries(diary) as attempt:
        progress(1, 2, "looking")
        where = {"type": "SIDEREAL", "ra": 1, "dec": 1, "permissions": "PUBLIC"}
        target, _ = Target.objects.get_or_create(name=f"T{number}", defaults=where)
        target.ra = number % 360
        target.save()
        progress(2, 2, "looked")
        return attempt
"""

SEND = """
import sys
from custom_code.tasks import observe
for number in range({jobs}):
    observe.send({diary!r}, number)
"""

TOLD = """
import json
from tests.chaos.oracle import told
from tom_targets.models import Target
seen = [target.ra == int(target.name[1:]) % 360 for target in Target.objects.filter(name__startswith="T")]
print(json.dumps({"told": told(), "targets": seen}))
"""

OPEN = f"SELECT 1 FROM tom_nightshift_job WHERE state NOT IN {tuple(map(str, FINAL))} LIMIT 1"


@pytest.fixture
def used(tom, tmp_path):
    """The processes of a TOM with the line and a task."""
    folder = tempfile.mkdtemp(prefix="ns-")
    tom.add_the_line(RUN_DIR=folder)
    (tom.folder / "custom_code" / "tasks.py").write_text(TASKS)
    logs = tmp_path / "logs"
    logs.mkdir()
    paths = os.pathsep.join(map(str, (tom.folder, ROOT / "src", ROOT)))
    its = {"DJANGO_SETTINGS_MODULE": "mytom.settings", "PYTHONPATH": paths, "PYTHONWARNINGS": "ignore"}
    yield Site(logs, folder, its)
    shutil.rmtree(folder)


def test_nothing_is_locked_and_every_state_is_right(tom, used, trial):
    port = free_port()
    with used.web_server(port) as web, used.worker("--processes=2", "--threads=2", ready=2) as worker:
        visitors = [Visitor(f"http://127.0.0.1:{port}", number) for number in range(VISITORS)]
        for visitor in visitors:
            visitor.start()
        used.shell(SEND.format(jobs=JOBS, diary=str(trial.diary)))
        trial.ends_well(
            "A TOM on SQLite is used meanwhile",
            faults=0,
            in_flight=0,
            still_open=lambda: any_open(tom.folder / "db.sqlite3") or not all(map(has_been, visitors)),
            rows=lambda: json.loads(used.shell(TOLD))["told"],
        )
        for visitor in visitors:
            visitor.leave()
        assert [visitor.problem for visitor in visitors] == [""] * VISITORS, web.log[-5000:]
        assert all(visitor.edits > 0 for visitor in visitors)
        assert "locked" not in web.log + worker.log
        assert "engine fault" not in worker.log
    assert json.loads(used.shell(TOLD))["targets"] == [True] * JOBS


def has_been(visitor):
    return visitor.edits > 0 or visitor.problem


def any_open(database):
    """Whether a job is not final, read from the file itself: to ask the TOM takes it seconds of computing."""
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as reader:
        return reader.execute(OPEN).fetchone()


def free_port():
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        return holder.getsockname()[1]
