"""What the doctor says of what carries the jobs."""

from __future__ import annotations

import dramatiq
import pytest

from tests.doctor.conftest import by_name
from tests.support.carriers import in_memory
from tests.support.jobs import actor, own_sql
from tom_nightshift import testing
from tom_nightshift.doctor import carrier, tasks
from tom_nightshift.doctor.findings import Level
from tom_nightshift.ledger import carrying


@pytest.fixture
def carried(transactional_db, nightshift, monkeypatch):
    broker = in_memory()
    monkeypatch.setattr(dramatiq, "get_broker", lambda: broker)
    with testing.waiting():
        yield broker


@pytest.fixture
def late_job(carried, monkeypatch):
    monkeypatch.setattr(carrying, "STILL", -1.0)
    actor(lambda: None, actor_name="task", broker=carried).send()


def test_the_database_needs_no_carrier(our_broker, look):
    assert {found.level for found in carrier.answers()} == {Level.FINE}
    assert {found.level for found in look(carrier.carries).values()} == {Level.FINE}


def test_one_that_answers_is_fine(carried):
    assert [(found.level, found.what) for found in carrier.answers()] == [(Level.FINE, "Memory answers.")]


def test_one_that_is_away_is_a_fault_with_what_it_said(carried):
    carried.carrier.is_away.set()
    found = by_name(carrier.answers())["carrier-away"]
    assert found.level == Level.FAULT
    assert "Memory cannot be reached from here (nobody there)" in found.what


def test_its_broker_is_ours(carried):
    assert "broker-replaced" not in by_name(tasks.go_to_our_broker())


def test_jobs_that_nobody_sends_are_a_fault(late_job, look):
    assert look(carrier.carries)["not-carried"].level == Level.FAULT


def test_jobs_that_are_on_their_way_are_none(late_job, look):
    with own_sql() as sql:
        assert carrying.publish(sql, ["default"], "one")
    assert {found.level for found in look(carrier.carries).values()} == {Level.FINE}
