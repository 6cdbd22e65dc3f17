"""The doorbell wakes whoever waits, never waits itself, and never fails."""

from __future__ import annotations

import os
import threading
import time
from types import SimpleNamespace

import pytest
from django.db import transaction

from tests.support.waiting import wait_until
from tom_nightshift.ledger import bell as module
from tom_nightshift.ledger import notices, rundir
from tom_nightshift.ledger.bell import Bell, ring
from tom_nightshift.states import State


@pytest.fixture
def bell(db, nightshift):
    bell = Bell()
    bell.hang()
    yield bell
    bell.close()


def how_long(wait):
    began = time.monotonic()
    wait()
    return time.monotonic() - began


def test_it_waits_no_longer_than_asked_for(bell):
    assert 0.05 <= how_long(lambda: bell.wait(0.05)) < 2


@pytest.mark.parametrize("how", ["from outside", "from inside"])
def test_a_ring_ends_the_wait(bell, how):
    ringer = threading.Timer(0.05, ring if how == "from outside" else bell.ring_here)
    ringer.start()
    assert how_long(lambda: bell.wait(20)) < 10
    ringer.join()


def test_a_ring_before_the_wait_is_not_lost_and_many_are_one(bell):
    for _ in range(200):  # more than the kernel keeps: ringing never waits
        ring()
    assert how_long(lambda: bell.wait(20)) < 5
    assert how_long(lambda: bell.wait(0.05)) >= 0.05


def test_the_bell_of_a_dead_process_is_taken_down(bell, run_folder):
    import socket

    path = os.path.join(run_folder, f"1-dead{module.SUFFIX}")
    dead = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    dead.bind(path)
    dead.close()
    ring()
    assert not os.path.exists(path)
    bell.wait(0.01)


def test_without_a_run_directory_it_still_rings_for_its_own_process(db, nightshift, settings):
    settings.NIGHTSHIFT = {"RUN_DIR": "/proc/nowhere"}
    bell = Bell()
    bell.hang()
    ring()
    bell.ring_here()
    assert how_long(lambda: bell.wait(20)) < 5
    bell.close()


def test_a_folder_that_others_can_write_is_not_used(db, nightshift, settings, tmp_path):
    tmp_path.chmod(0o777)
    settings.NIGHTSHIFT = {"RUN_DIR": str(tmp_path)}
    bell = Bell()
    bell.hang()
    assert os.listdir(tmp_path) == []
    bell.close()


def test_once_closed_it_touches_no_file_of_another(db, nightshift):
    bell = Bell()
    bell.hang()
    bell.close()
    near, far = os.pipe()  # takes the numbers that have become free
    os.set_blocking(near, False)
    bell.ring_here()
    with pytest.raises(BlockingIOError):
        os.read(near, 1)
    os.close(near)
    os.close(far)


def test_a_send_wakes_a_worker_at_once(broker):
    from tests.support.jobs import actor, ended, running

    task = actor(lambda: None, actor_name="task", broker=broker)
    with running(broker):
        wait_until(broker.dispatcher.registered.is_set)
        waits = []
        for _ in range(5):
            job = ended(task.send())
            waits.append((job.started_at - job.created_at).total_seconds())
    assert sorted(waits)[2] < 0.5  # a poll comes once a second


def test_a_ring_while_another_is_being_heard_leaves_the_next_one_audible(bell, monkeypatch):
    true_read = os.read

    def read(*args):
        bell.ring_here()  # by another thread, at the worst moment
        return true_read(*args)

    bell.ring_here()
    with monkeypatch.context() as patch:
        patch.setattr(os, "read", read)
        bell.wait(20)
    bell.ring_here()
    assert bell.wait(20)


def test_many_jobs_of_one_transaction_ring_once(broker, bell, monkeypatch):
    from tests.support.jobs import actor

    rings = []
    monkeypatch.setattr(module, "ring", lambda: rings.append(1))
    task = actor(lambda: None, actor_name="task", broker=broker)
    with transaction.atomic():
        task.send()
        task.send()
        assert rings == []
    assert rings == [1]


def test_a_ring_that_a_savepoint_takes_back_is_rung_all_the_same_for_who_asked_after_it(broker, monkeypatch):
    from tests.support.jobs import actor

    rings = []
    monkeypatch.setattr(module, "ring", lambda: rings.append(1))
    task = actor(lambda: None, actor_name="task", broker=broker)
    with transaction.atomic():
        with transaction.atomic():
            task.send()
            transaction.set_rollback(True)
        task.send()
    assert rings == [1]


class TestFaults:
    """Whoever asks for a job never waits for a bell, and the job begins all the same, only later."""

    @pytest.fixture
    def task(self, broker):
        from tests.support.jobs import actor

        return actor(lambda: None, actor_name="task", broker=broker)

    def test_a_receiver_that_has_stopped_with_its_socket_full(self, task, bell):
        for _ in range(50):
            ring()
        assert how_long(task.send) < 5  # nobody takes anything out of it

    def test_no_permission_on_it(self, task, bell, monkeypatch):
        def refused(*_):
            raise PermissionError("not yours")

        monkeypatch.setattr(module, "_hand", lambda: SimpleNamespace(sendto=refused))
        task.send()
        assert not bell.wait(0.05)

    @pytest.mark.parametrize("broken", ["the folder", "every ring"])
    def test_nobody_rings_and_the_job_begins_later(self, broker, task, monkeypatch, broken):
        from tests.support.jobs import ended, running

        def fail():
            raise PermissionError("not yours")

        monkeypatch.setattr(*((rundir, "run_dir") if broken == "the folder" else (module, "ring")), fail)
        monkeypatch.setattr(notices, "send", lambda: None)
        with running(broker):
            wait_until(broker.dispatcher.idle.is_set)
            assert ended(task.send()).state == State.SUCCEEDED


def age(folder):
    """As if nothing had been hung or taken down for long."""
    os.utime(folder, ns=(0, time.time_ns() - 10 * module.CLOCK_OF_FOLDERS))


def test_a_bell_that_is_hung_later_is_rung_and_a_folder_that_stays_is_read_once(
    bell, run_folder, monkeypatch
):
    read, listdir = [], os.listdir

    def counted(folder):
        read.append(folder)
        return listdir(folder)

    monkeypatch.setattr(os, "listdir", counted)
    age(run_folder)
    ring()
    ring()
    assert len(read) == 1
    late = module.Bell()
    late.hang()
    try:
        ring()
        assert late.wait(20)
    finally:
        late.close()


def test_a_folder_that_has_just_changed_is_read_again_since_the_next_change_may_bear_the_same_time(
    bell, run_folder
):
    ring()
    just_changed = os.stat(run_folder).st_mtime_ns
    late = module.Bell()
    late.hang()
    os.utime(run_folder, ns=(0, just_changed))
    try:
        ring()
        assert late.wait(20)
    finally:
        late.close()
