"""Middleware is called as Dramatiq calls it, without the hooks that are empty."""

from __future__ import annotations

import logging

import pytest
from dramatiq import Middleware
from dramatiq.middleware import MiddlewareError, SkipMessage

from tests.support.jobs import actor, ended, running
from tom_nightshift.states import State


class Listener(Middleware):
    def __init__(self, name, heard):
        self.name, self.heard = name, heard

    def before_enqueue(self, broker, message, delay):
        self.heard.append(f"{self.name} before")

    def after_enqueue(self, broker, message, delay):
        self.heard.append(f"{self.name} after")


@pytest.fixture
def heard(broker):
    heard: list[str] = []
    for name in "outer", "inner":
        broker.add_middleware(Listener(name, heard))
    return heard


@pytest.fixture
def task(broker):
    return actor(lambda: None, actor_name="task", broker=broker)


def test_before_from_the_outside_in_and_after_from_the_inside_out(heard, task):
    task.send()
    assert heard == ["outer before", "inner before", "inner after", "outer after"]


def test_who_is_added_or_removed_later_is_heard_or_not(broker, heard, task):
    task.send()
    broker.add_middleware(Listener("late", heard))
    broker.middleware = [one for one in broker.middleware if getattr(one, "name", "") != "outer"]
    del heard[:]
    task.send()
    assert heard == ["inner before", "late before", "late after", "inner after"]


def test_a_hook_that_is_no_method_of_its_class_is_called(broker, task):
    called, listener = [], Middleware()
    vars(listener)["after_enqueue"] = lambda *_: called.append("here")
    broker.add_middleware(listener)
    task.send()
    assert called == ["here"]


def test_what_a_hook_raises_is_logged_with_its_name_and_the_others_are_called(
    broker, heard, task, monkeypatch, caplog
):
    def broken(*_):
        raise ZeroDivisionError("no")

    monkeypatch.setattr(broker.middleware[-2], "before_enqueue", broken, raising=False)
    monkeypatch.setattr(broker.middleware[-1], "after_enqueue", broken, raising=False)
    with caplog.at_level(logging.ERROR):
        task.send()
    assert [record.getMessage() for record in caplog.records] == [
        "Listener failed in before_enqueue: ZeroDivisionError: no",
        "Listener failed in after_enqueue: ZeroDivisionError: no",
    ]
    assert heard == ["inner before", "outer after"]


def test_a_middleware_may_refuse_a_message(broker, task):
    class Refuses(Middleware):
        def before_enqueue(self, broker, message, delay):
            raise SkipMessage("not today")

    broker.add_middleware(Refuses())
    with pytest.raises(MiddlewareError, match="not today"):
        task.send()


def test_one_that_refuses_an_acknowledgement_keeps_no_outcome_from_its_row(broker, task):
    class Refuses(Middleware):
        def before_ack(self, broker, message):
            raise MiddlewareError("no")

    broker.add_middleware(Refuses())
    with running(broker):
        assert ended(task.send()).state == State.SUCCEEDED
