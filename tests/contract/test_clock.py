"""The one clock is the database's, in UTC, and tests can step it."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import connection
from django.utils import timezone

from tom_nightshift.ledger import clock
from tom_nightshift.ledger.session import Sql

A_MOMENT = timedelta(seconds=5)


def now():
    said = clock.read_now(connection)
    return datetime.fromisoformat(f"{said}+00:00") if isinstance(said, str) else said


def test_it_is_now_in_utc(db):
    assert abs(now() - timezone.now()) < A_MOMENT


def test_a_step_moves_it(db, step_clock):
    step_clock(3_600)
    assert abs(now() - timezone.now() - timedelta(hours=1)) < A_MOMENT


def test_an_age_is_in_seconds(db):
    sql = Sql(connection)
    ((age,),) = sql.rows(f"SELECT {sql.age('moment')} FROM (SELECT {sql.after(-90)} AS moment) AS said")
    assert 89.9 < float(age) < 95
