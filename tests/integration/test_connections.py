"""A task's connections are fit for use when it begins, and left in order when it ends."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.db import connections, transaction
from django.db.backends.signals import connection_created

from tests.support.jobs import actor, ended, running
from tom_nightshift.states import State


@pytest.fixture
def opened():
    """Connections that Django opened, by the thread's name."""
    import threading

    names = []

    def note(**_):
        names.append(threading.current_thread().name)

    connection_created.connect(note)
    yield names
    connection_created.disconnect(note)


def leave_open(how):
    def task():
        if how == "autocommit off":
            transaction.set_autocommit(False)
        elif how == "atomic entered":
            transaction.atomic().__enter__()
        else:
            connections["default"].cursor().execute("BEGIN")
        User.objects.create(username="left open")

    return task


@pytest.mark.parametrize("how", ["autocommit off", "atomic entered", "BEGIN by hand"])
def test_a_transaction_left_open_is_rolled_back_with_a_warning(broker, caplog, how):
    leaves = actor(leave_open(how), actor_name="leaves", broker=broker)
    after = actor(lambda: (User.objects.create(username="after"), None)[1], actor_name="after", broker=broker)
    with running(broker, threads=1):
        assert ended(leaves.send()).state == State.SUCCEEDED
        assert ended(after.send()).state == State.SUCCEEDED
    assert [user.username for user in User.objects.all()] == ["after"]
    assert "task leaves left a database transaction open; it was rolled back" in caplog.text


def test_nothing_is_said_of_a_task_that_leaves_all_in_order(broker, caplog):
    def task():
        with transaction.atomic():
            User.objects.create(username="kept")

    with running(broker):
        ended(actor(task, broker=broker).send())
    assert "left a database transaction open" not in caplog.text
    assert User.objects.count() == 1


def test_a_task_that_never_asks_for_the_database_opens_no_connection(broker, opened):
    with running(broker, threads=1):
        task = actor(lambda: None, actor_name="task", broker=broker)
        for message in [task.send() for _ in range(3)]:
            ended(message)
    assert [name for name in opened if name.startswith("Thread-")] == []


def test_a_connection_that_broke_is_replaced_for_the_next_task(broker):
    def breaks():
        User.objects.count()
        connection = connections["default"]
        connection.connection.close()
        with pytest.raises(Exception):  # noqa: B017, PT011 - each driver has its own
            User.objects.count()

    breaks = actor(breaks, broker=broker)
    after = actor(lambda: User.objects.count(), actor_name="after", broker=broker)
    with running(broker, threads=1):
        assert ended(breaks.send()).state == State.SUCCEEDED
        assert ended(after.send()).state == State.SUCCEEDED


def test_what_one_task_asked_is_in_nobodys_memory_when_the_next_begins(broker, settings):
    settings.DEBUG = True  # Django keeps every statement, then

    def task():
        kept = len(connections["default"].queries_log)
        User.objects.exists()
        assert len(connections["default"].queries_log) > kept
        return kept

    asks = actor(task, broker=broker)
    with running(broker, threads=1):
        assert [ended(asks.send()).result["value"] for _ in range(2)] == [0, 0]
