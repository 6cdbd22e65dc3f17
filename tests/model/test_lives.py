"""The short form runs with the engine's tests; the long one by a variable, on either database:

    NIGHTSHIFT_MODEL_OPERATIONS=20000 pytest tests/model -s

A failing life is printed rule by rule, with a blob that replays it: ``NIGHTSHIFT_MODEL_REPLAY=<the blob>``.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from typing import Any

import hypothesis
import pytest
from django.db import connection
from hypothesis.stateful import run_state_machine_as_test

from tests.model.endings import WAYS
from tests.model.machine import LivesOfJobs
from tests.support.jobs import actor

OPERATIONS = "NIGHTSHIFT_MODEL_OPERATIONS"
REPLAY = "NIGHTSHIFT_MODEL_REPLAY"

RULES_A_LIFE = 25
SHORT = 400
LONG = 10_000
"""Operations after which everything that can happen has happened."""

SEEN_BY_A_HEARTBEAT = (
    "missing", "returned", "orphans", "parked", "due", "held wrongly", "too old", "nothing",
)  # fmt: skip
LAST_WORDS = (
    "succeeded, ", "warned, warned", "warned, skipped", "stopped, stopped", "expired, expired", "lost, lost",
    "failed, poison", "failed, engine", "failed, rejected", "failed, task", "failed, ValueError",
)  # fmt: skip

wanted = int(os.environ.get(OPERATIONS, SHORT))
blob = os.environ.get(REPLAY)


@pytest.fixture
def tasks(broker):
    """One that runs again, one that must not run twice, one that not every worker knows; some with a limit, a
    rate or both; and one of which one job at a time is open.
    """
    return {
        "plain": actor(lambda: None, actor_name="plain", broker=broker),
        "once": actor(lambda: None, actor_name="once", priority=-5, queue_name="slow", broker=broker),
        "strange": actor(lambda: None, actor_name="strange", broker=broker),
        "few": actor(lambda: None, actor_name="few", limit=("ATLAS", 2), broker=broker),
        "slow": actor(
            lambda: None, actor_name="slow", queue_name="slow", rate=("MAST", "3/d"), broker=broker
        ),
        "both": actor(
            lambda: None, actor_name="both", limit=("ATLAS", 2), rate=("ATLAS", "2/d"), broker=broker
        ),
        "single": actor(lambda: None, actor_name="single", unique="single", broker=broker),
    }


@pytest.fixture(autouse=True)
def silence(caplog):
    """The engine has much to say of so many deaths."""
    caplog.set_level(logging.CRITICAL, logger="nightshift")


@pytest.fixture(autouse=True)
def without_waiting_for_the_disk(broker):
    """What outlives the server's own crash is no matter here, and on PostgreSQL each commit would wait."""
    if connection.vendor != "postgresql":
        yield
        return
    database = f"ALTER DATABASE {connection.ops.quote_name(connection.settings_dict['NAME'])}"
    tell_new_sessions(f"{database} SET synchronous_commit = off")
    yield
    tell_new_sessions(f"{database} RESET synchronous_commit")


def tell_new_sessions(statement):
    with connection.cursor() as cursor:
        cursor.execute(statement)
    connection.close()


@pytest.mark.timeout(3600)  # the long form, and the search for the shortest life that fails, take their time
def test_every_life_of_a_job_is_as_the_model_says(tasks):
    tally: Counter[str] = Counter()

    def lives():
        return LivesOfJobs(tasks, tally)

    if blob:
        hypothesis.reproduce_failure(hypothesis.__version__, blob.encode())(lives)
    machine: Any = lives  # any factory will do
    run_state_machine_as_test(machine, settings=chosen_settings())
    print(f"\n{tally['operations']} operations", *sorted(tally.items()), sep="\n  ")
    assert tally["operations"] >= min(wanted, SHORT) / 2
    if wanted >= LONG:
        assert missing(tally) == [], "the machine does not go where it should"


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_a_life_for_each_way_in_which_an_attempt_can_end(tasks, way):
    """Random lives may miss one."""
    life = LivesOfJobs(tasks, Counter())
    try:
        life.a_site_at_work("plain", "once", 1)
        life.end(0, way, last_words=True)
        life.look_at_everything()
    finally:
        life.teardown()
    assert life.tally[f"end: {way.__name__} → True"]


def chosen_settings():
    return hypothesis.settings(
        max_examples=max(1, wanted // RULES_A_LIFE),
        stateful_step_count=RULES_A_LIFE,
        deadline=None,
        database=None,
        print_blob=True,
        report_multiple_bugs=False,
        phases=set(hypothesis.Phase) - {hypothesis.Phase.explain},
        suppress_health_check=list(hypothesis.HealthCheck),
    )


def missing(tally):
    """What never happened and should have."""
    refused = ["end refused"] * (not any(tally[f"end: {way.__name__} → False"] for way in WAYS))
    answers = ["rescue → 1", "rescue → 2", "stop → None", "stop → running", "stop → stopped", "report → True"]
    answers += ["report → False", "beat → False", "sign off → False", "sign off → True", "release → 1"]
    answers += ["prune → 1", "urge → True", "urge → False", "expire → 1", "pause → 1", "resume → 1"]
    answers += ["put holds right → 1", *(f"put right → {what}" for what in SEEN_BY_A_HEARTBEAT)]
    answers += ["admit → 1", "renumber → 1", "asked for the same"]
    answers += [f"ended: {what}" for what in LAST_WORDS]
    return [*refused, *(what for what in answers if not tally[what])]
