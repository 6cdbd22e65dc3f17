"""What the doctor says of limits and rates: each fault is caused, and found."""

from __future__ import annotations

import pytest

from tests.support.jobs import actor
from tom_nightshift.doctor import limits
from tom_nightshift.models import Limit


@pytest.fixture
def task(our_broker):
    """A task whose job waits for its limit."""
    task = actor(
        lambda: None, actor_name="task", limit=("ATLAS", 2), rate=("ATLAS", "5/m"), broker=our_broker
    )
    task.send()
    return task


def test_as_declared(look, task):
    assert look(limits.hold_as_declared).keys() == {""}


def test_a_limit_that_lets_nobody_in(look, task):
    Limit.objects.filter(kind="limit").update(number=0)
    found = look(limits.hold_as_declared)["limit-closed"]
    assert found.what.startswith("the limit 'ATLAS' is 0: none of the 1 jobs")


def test_a_limit_that_no_task_declares_any_more(look, task):
    task.options["limit"] = None
    found = look(limits.hold_as_declared)["limit-undeclared"]
    assert "1 jobs wait for the limit 'ATLAS', which no task declares any more: it stays at 2" in found.what


def test_one_that_nobody_waits_for_is_no_matter(look, task):
    task.options["rate"] = None
    assert look(limits.hold_as_declared).keys() == {""}


def test_a_number_that_the_workers_do_not_know_yet(look, task):
    task.options |= {"limit": ("ATLAS", 3), "rate": ("ATLAS", "100/h")}
    found = look(limits.hold_as_declared)["limit-outdated"]
    assert found.what == "the rate 'ATLAS' is 5, and this site's tasks declare 100 in 3600 s."


def test_tasks_that_contradict_each_other(look, task, our_broker):
    actor(lambda: None, actor_name="other", limit=("ATLAS", 7), broker=our_broker)
    found = look(limits.hold_as_declared)["limits-contradict"]
    assert "for the limit 'ATLAS': 2, 7. The lowest holds." in found.what
