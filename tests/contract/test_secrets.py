"""A secret that a task was called with stands in its message and nowhere else, unless the task returns it."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import dramatiq
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.support.jobs import ended, log_of, reached, running
from tom_nightshift import Later, TaskError, progress, result, say, step, warn
from tom_nightshift.ledger import capture, storable
from tom_nightshift.ledger.outcomes import WORDS_LENGTH
from tom_nightshift.ledger.secrets import MASK
from tom_nightshift.models import Attempt, Job, Log
from tom_nightshift.states import Hold, State

logger = logging.getLogger("myapp.tasks")

KEPT = "message"
"""The one column that has it: the task needs it."""

RETURNED = "returned"
"""Beside what pages show of a result: what the caller gets for whom the task returned it."""

MARK = "§"
"""In no word of ours."""


@contextmanager
def capturing():
    """As in a worker process: what is logged and printed goes to the jobs' logs."""
    level = logging.getLogger().level
    capture.install()
    try:
        yield
    finally:
        capture.uninstall()
        logging.getLogger().setLevel(level)


def say_everywhere(token, how):
    logger.info("token %s and %r", token, {"inner": token})
    print("printed", token)
    print("in", end=" ")
    print(f"pieces {token}", file=sys.stdout)
    say(f"said {token}")
    with step(f"step {token}"):
        progress(1, 2, "n" * 195 + token)
    result(f"/made/?key={token}", f"label {token}")
    warn(f"warned of {token}")
    if how == "fails":
        length = WORDS_LENGTH - len("ValueError: ") - 3  # the text is cut in the middle of the secret
        raise ValueError("e" * length + f" {token} {token!r}")
    if how == "says why":
        raise TaskError(f"no access with {token}") from KeyError(token)
    return {"summary": f"used {token}", "facts": {"password": f"{token}2"}, "rows": [[token, 1]]}


def stored(job: Job) -> Iterator[tuple[str, str]]:
    """Every text that the database has of a job, with its column."""
    columns = [field.attname for field in Job._meta.concrete_fields]
    rows = [("job", row) for row in Job.objects.filter(pk=job.pk).values(*columns)]
    rows += [("log", row) for row in Log.objects.filter(job=job).values()]
    rows += [("attempt", row) for row in Attempt.objects.filter(job=job).values()]
    for table, row in rows:
        for column, value in row.items():
            if column != KEPT:
                yield from ((f"{table}.{column}", text) for text in texts(value))


def texts(value) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == RETURNED:
                continue
            yield str(key)
            yield from texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts(inner)
    else:
        yield str(value)


@pytest.fixture
def task(broker):
    fn = dramatiq.actor(broker=broker, actor_name="log_in", title="Log in with {token}")(say_everywhere)
    with running(broker):
        yield fn


@pytest.mark.database_carries  # Dramatiq's Redis broker draws random numbers, and would disturb Hypothesis
@given(
    secret=st.text(min_size=6, max_size=30).map(lambda text: MARK + text),
    how=st.sampled_from(["succeeds", "fails", "says why"]),
)
@hypothesis_settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_it_stands_in_the_message_and_nowhere_else(task, secret, how):
    with capturing():
        job = ended(task.send(secret, how))
    assert job.state == (State.WARNED if how == "succeeds" else State.FAILED)
    forms = {secret, storable.text(secret)}
    assert [column for column, text in stored(job) if any(form in text for form in forms)] == []
    assert dramatiq.Message.decode(bytes(job.message)).args[0] == secret


def test_the_rest_of_what_it_says_stays(task):
    with capturing():
        job = ended(task.send("s3cr3t", "succeeds"))
    said = [line[9:] for line in log_of(job)]
    assert said[:4] == [
        f"token {MASK} and {{'inner': '{MASK}'}}",
        f"printed {MASK}",
        f"in pieces {MASK}",
        f"said {MASK}",
    ]
    assert (job.title, job.error) == (f"Log in with {MASK}", f"warned of {MASK}")
    assert job.result["value"]["summary"] == f"used {MASK}"


def test_half_a_secret_is_not_left_where_a_text_is_cut(task):
    job = ended(task.send("s3cr3t-value", "fails"))
    assert "s3c" not in job.error + job.note
    assert job.attempts.get().traceback.count(MASK) >= 2


def test_a_title_given_with_the_call_is_masked_too(task):
    message = task.send_with_options(args=("s3cr3t", "succeeds"), title="t" * 196 + "s3cr3t")
    assert "s3" not in ended(message).title


def test_what_a_job_waits_for_is_said_without_it(broker):
    def wait(token):
        raise Later(600, f"waiting for {token}")

    with running(broker):
        job = reached(dramatiq.actor(broker=broker)(wait).send("s3cr3t"), hold=Hold.UNTIL)
    assert job.error == f"waiting for {MASK}"
    assert [text for _, text in stored(job) if "s3cr3t" in text] == []
