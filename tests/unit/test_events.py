"""What the worker's log says of a database that it cannot use."""

from __future__ import annotations

import pytest
from django.db import OperationalError, ProgrammingError

from tom_nightshift import events

CONNECTING = 'connection to server at "127.0.0.1", port 5432 failed: '


class FromTheDriver(Exception):
    """As psycopg's errors: with PostgreSQL's code."""

    def __init__(self, sqlstate):
        self.sqlstate = sqlstate


@pytest.mark.parametrize(
    ("said", "code", "words"),
    [
        (f"{CONNECTING}Connection refused", None, "does not answer"),
        ("server closed the connection unexpectedly", None, "does not answer"),
        ("database is locked", None, "does not answer"),
        (f"{CONNECTING}FATAL:  the database system is starting up", None, "does not answer"),
        (
            f'{CONNECTING}FATAL:  database "tom" is not currently accepting connections',
            None,
            "does not answer",
        ),
        ("terminating connection due to administrator command", "57P01", "does not answer"),
        (f'{CONNECTING}FATAL:  password authentication failed for user "tom"', None, "answers, but refuses"),
        (f'{CONNECTING}FATAL:  database "nowhere" does not exist', None, "answers, but refuses"),
        (f"{CONNECTING}FATAL:  sorry, too many clients already", None, "answers, but refuses"),
        ("permission denied for table tom_nightshift_job", "42501", "answers, but refuses"),
        ("unable to open database file", None, "answers, but refuses"),
        ("attempt to write a readonly database", None, "answers, but refuses"),
        ("no such table: tom_nightshift_job", None, "run ./manage.py migrate"),
    ],
)
def test_away_refused_and_not_migrated_are_told_apart(caplog, said, code, words):
    error = (ProgrammingError if code else OperationalError)(said)
    error.__cause__ = FromTheDriver(code)
    events.database_away(error, 1)
    assert words in caplog.text
    assert said in caplog.text


@pytest.mark.parametrize(("job_ids", "said"), [([7], "job 7: add"), ([7, 8, 12], "jobs 7, 8, 12: add")])
def test_those_that_end_at_one_moment_are_one_line(caplog, job_ids, said):
    caplog.set_level("INFO", "nightshift")
    events.jobs_moved(job_ids, "add", "succeeded", "")
    assert caplog.messages == [f"{said} succeeded"]
