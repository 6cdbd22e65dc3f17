"""News between machines: a worker that no bell reaches is woken by PostgreSQL, or by its own poll."""

from __future__ import annotations

import threading
import time

import pytest
from django.db import connection, transaction

from tests.support.jobs import actor, ended, running
from tests.support.waiting import wait_until
from tom_nightshift.ledger import bell, driver, lookout, notices
from tom_nightshift.states import State

pytestmark = pytest.mark.postgres


@pytest.fixture(autouse=True)
def deaf(monkeypatch):
    """The bell rings for nobody, as on another machine; and nobody looks without being told."""
    monkeypatch.setattr(bell, "ring", lambda: None)
    monkeypatch.setattr(lookout, "POLL", 60.0)
    monkeypatch.setattr(notices, "_sender", notices._Sender())


@pytest.fixture
def task(broker):
    return actor(lambda: None, actor_name="task", broker=broker)


def quiet(broker):
    """Wait until the worker has nothing to do and does not expect anything."""
    wait_until(broker.dispatcher.idle.is_set)
    wait_until(lambda: not broker.dispatcher.connection.is_alert)


def test_a_notice_wakes_it(broker, task):
    with running(broker):
        quiet(broker)
        assert ended(task.send()).state == State.SUCCEEDED


def test_a_second_job_whose_notice_was_kept_back_is_seen_by_who_is_still_alert(broker, task):
    with running(broker):
        quiet(broker)
        sent = [task.send(), task.send()]
        assert [ended(message).state for message in sent] == [State.SUCCEEDED] * 2


def test_one_process_sends_at_most_one_in_a_while(task, monkeypatch):
    monkeypatch.setattr(notices, "AT_MOST_EVERY", 60.0)
    with connection.cursor() as cursor:
        cursor.execute("LISTEN nightshift")
    for _ in range(5):
        task.send()
    assert len(list(connection.connection.notifies(timeout=0.2))) == 1
    connection.close()


def test_none_is_sent_before_the_commit_nor_after_a_rollback(task):
    with connection.cursor() as cursor:
        cursor.execute("LISTEN nightshift")
    with transaction.atomic():
        task.send()
        transaction.set_rollback(True)
    assert list(connection.connection.notifies(timeout=0.1)) == []
    connection.close()


def test_behind_a_pooler_nobody_listens_and_the_poll_finds_it(broker, task, monkeypatch):
    monkeypatch.setattr(driver, "is_pooled", lambda connection: True)
    monkeypatch.setattr(lookout, "POLL", 0.2)
    with running(broker):
        wait_until(broker.dispatcher.idle.is_set)
        assert broker.dispatcher.connection.fileno() is None
        assert broker.dispatcher.connection._opened().connection.prepare_threshold is None
        assert ended(task.send()).state == State.SUCCEEDED


def test_a_notice_while_no_thread_is_free_does_not_keep_the_dispatcher_busy(broker, task):
    gate = threading.Event()
    blocks = actor(lambda: gate.wait(20), actor_name="blocks", broker=broker)
    with running(broker, threads=1):
        quiet(broker)
        first = blocks.send()
        wait_until(lambda: broker.dispatcher.in_hand.all() and broker.dispatcher.in_hand.all()[0].begun)
        second = task.send()
        spent = -time.process_time()
        gate.wait(0.5)  # for so long nothing can happen
        spent += time.process_time()
        gate.set()
        assert ended(first).state == ended(second).state == State.SUCCEEDED
    assert spent < 0.4
