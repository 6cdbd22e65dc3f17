"""Worker processes take turns at SQLite's write lock; without a turn they write all the same."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading

import pytest
from django.db import connection

from tests.support.jobs import actor, ended, running
from tom_nightshift.ledger import rundir
from tom_nightshift.ledger.turns import NAME, Turns
from tom_nightshift.states import State

HAS_ITS_TURN = """
import fcntl, os, sys
file = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
fcntl.flock(file, fcntl.LOCK_EX)
print("mine", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def turns(transactional_db, run_folder):
    if connection.vendor != "sqlite":
        pytest.skip("only SQLite has one lock for all who write")
    made = [Turns(), Turns()]
    yield made
    for one in made:
        one.close()


@pytest.fixture
def stands_still(turns):
    """A process that was stopped in its turn."""
    path = rundir.run_dir() / NAME
    with subprocess.Popen(
        [sys.executable, "-c", HAS_ITS_TURN, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == b"mine\n"
        process.send_signal(signal.SIGSTOP)
        try:
            yield process
        finally:
            process.kill()


def test_one_has_it_at_a_time(turns, monkeypatch):
    monkeypatch.setattr("tom_nightshift.ledger.turns.PATIENCE", 60.0)
    found_it_taken = threading.Event()
    monkeypatch.setattr("tom_nightshift.ledger.turns._rest", found_it_taken.set)
    order: list[str] = []
    ann, bob = turns

    def second():
        with bob.mine():
            order.append("bob")

    thread = threading.Thread(target=second)
    with ann.mine():
        thread.start()
        assert found_it_taken.wait(10)
        order.append("ann")
    thread.join()
    assert order == ["ann", "bob"]


def test_another_process_that_dies_in_its_turn_gives_it_back(turns, stands_still):
    stands_still.kill()
    stands_still.wait()
    with turns[0].mine():
        assert turns[0].is_mine


def test_one_that_stands_still_keeps_no_job_from_its_end(turns, stands_still, broker):
    with running(broker):
        jobs = [ended(message) for message in [actor(lambda: 1, broker=broker, actor_name="one").send()]]
    assert [job.state for job in jobs] == [State.SUCCEEDED]


def test_where_there_is_no_run_directory_there_are_no_turns(turns, monkeypatch):
    monkeypatch.setattr("tom_nightshift.ledger.turns.run_dir", _refuse)
    with turns[0].mine():
        assert not turns[0].is_mine


def test_a_turn_ends_with_its_block_however_that_ends(turns):
    with pytest.raises(KeyError), turns[0].mine():
        raise KeyError
    with turns[1].mine():
        assert turns[1].is_mine


def _refuse():
    raise PermissionError("the run directory belongs to somebody else")
