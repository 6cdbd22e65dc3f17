"""The rounds as a whole: all of it, in order; what breaks says so and stops nothing; what a person sees."""

from __future__ import annotations

import io
import json
from contextlib import nullcontext

import pytest
from django.core.management import call_command
from django.db import connection

from tests.support.jobs import actor, running
from tom_nightshift.doctor import rounds
from tom_nightshift.doctor.findings import Level


def doctor(*words, code=0, **options):
    """Run the command; what it printed."""
    out = io.StringIO()
    with nullcontext() if code == 0 else pytest.raises(SystemExit, match=f"^{code}$"):
        call_command("nightshift", "doctor", *words, stdout=out, **options)
    return out.getvalue()


@pytest.fixture
def worker(our_broker):
    actor(lambda: None, actor_name="task", broker=our_broker)
    with running(our_broker):
        assert our_broker.dispatcher.registered.wait(10)
        yield


def test_all_is_well(worker):
    *lines, last = doctor().splitlines()
    assert [line for line in lines if not line.startswith("fine     ")] == []
    assert last == "All is well."
    everything = {*rounds.OF_THE_SITE, "database", *rounds.OF_THE_DATABASE, *rounds.OF_THE_ROWS}
    of_others = {
        "sqlite": {"rights", "connections", "pooling"},
        "postgresql": {"write-ahead log", "file system", "disk", "lock"},
    }[connection.vendor]
    assert {line.split(":")[0].removeprefix("fine     ") for line in lines} == everything - of_others


def test_a_fault_has_its_name_what_to_do_and_the_exit_code(look):
    lines = doctor(code=1).splitlines()
    (said,) = [line for line in lines if line.startswith("fault")]
    assert (
        said
        == "fault    workers: no worker is alive, and 0 jobs wait. Run ./manage.py nightshift. [no-worker]"
    )
    assert lines[-1] == "1 fault, 0 warnings."


def test_a_warning_is_no_fault(worker, nightshift, run_folder):
    nightshift(GRACE=100, TIMEOUT=60)
    assert doctor().splitlines()[-1] == "0 faults, 1 warning."


def test_for_machines(look):
    found = json.loads(doctor("--json", code=1))
    assert found["ok"] is False
    (fault,) = [one for one in found["findings"] if one["level"] == "fault"]
    assert fault == {
        "subject": "workers",
        "level": "fault",
        "name": "no-worker",
        "what": "no worker is alive, and 0 jobs wait.",
        "todo": "Run ./manage.py nightshift.",
    }


def test_for_machines_when_all_is_well(worker):
    assert json.loads(doctor("--json"))["ok"] is True


def test_on_a_terminal_it_is_coloured(look):
    assert "\x1b[" in doctor(code=1, force_color=True)
    assert "\x1b[" not in doctor(code=1, no_color=True)


def test_an_examination_that_breaks_says_so_and_stops_no_other(worker, monkeypatch):
    def breaks(sql):
        sql.rows("SELECT 1 FROM nowhere")

    monkeypatch.setitem(rounds.OF_THE_ROWS, "heartbeats", breaks)
    found = {one.subject: one.finding for one in rounds.examine()}
    assert (found["heartbeats"].name, found["heartbeats"].level) == ("examination-broken", Level.FAULT)
    assert "nowhere" in found["heartbeats"].what
    assert {one.level for subject, one in found.items() if subject != "heartbeats"} == {Level.FINE}
    assert list(found)[-1] == "poison"


def test_it_changes_nothing_and_leaves_no_connection(worker, look):
    before = list(connection.introspection.table_names())
    doctor()
    assert list(connection.introspection.table_names()) == before
