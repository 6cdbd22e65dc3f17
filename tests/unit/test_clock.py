"""The one clock: SQL that each database understands, stepped by tests."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta

import pytest

from tom_nightshift.ledger import clock


@pytest.fixture(autouse=True)
def put_right():
    yield
    clock.step(-clock.offset())


@pytest.fixture
def ask():
    """What SQLite answers."""
    connection = sqlite3.connect(":memory:")
    yield lambda sql: connection.execute(f"SELECT {sql.replace('%%', '%')}").fetchone()[0]
    connection.close()


def moment(text):
    return datetime.strptime(text, "%Y-%m-%d %H:%M:%S.%f").replace(tzinfo=UTC)


@pytest.mark.parametrize("seconds", [0, 0.25, -0.25, 90, -86_400 * 90.0, 1e7])
def test_sqlite_answers_so_many_seconds_from_now(ask, seconds):
    expected = datetime.now(UTC) + timedelta(seconds=seconds)
    assert abs(moment(ask(clock.now_sql("sqlite", seconds))) - expected) < timedelta(seconds=2)


@pytest.mark.parametrize(
    ("seconds", "sql"),
    [
        (0, "clock_timestamp()"),
        (1.5, "(clock_timestamp() + interval '1.500 seconds')"),
        (-60, "(clock_timestamp() + interval '-60.000 seconds')"),
    ],
)
def test_postgresql_is_asked_for_the_time_of_the_statement(seconds, sql):
    assert clock.now_sql("postgresql", seconds) == sql


def test_stepping_moves_every_now(ask):
    before = moment(ask(clock.now_sql("sqlite")))
    clock.step(3600)
    clock.step(60)
    assert clock.offset() == 3660
    assert timedelta(seconds=3659) < moment(ask(clock.now_sql("sqlite"))) - before < timedelta(seconds=3670)
    assert "3665.000" in clock.now_sql("postgresql", 5)


def test_an_age_is_in_seconds(ask):
    clock.step(7200)
    assert ask(clock.age_sql("sqlite", "strftime('%%Y-%%m-%%d %%H:%%M:%%f', 'now')")) == pytest.approx(
        7200, abs=1
    )
    assert ask(clock.age_sql("sqlite", "NULL")) is None


@pytest.mark.parametrize("vendor", ["sqlite", "postgresql"])
def test_it_may_stand_in_a_statement_with_parameters(vendor):
    clock.step(1)
    assert (f"{clock.now_sql(vendor, 2)} {clock.age_sql(vendor, 'x')} %s" % ("given",)).endswith("given")
