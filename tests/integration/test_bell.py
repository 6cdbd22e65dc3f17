"""The doorbell wakes whoever waits, never waits itself, and never fails."""

from __future__ import annotations

import os
import threading
import time

import pytest

from tests.support.waiting import wait_until
from tom_nightshift.ledger import bell as module
from tom_nightshift.ledger.bell import Bell, ring


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
