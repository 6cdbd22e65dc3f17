"""Who is alive: the lock file says it where it can be read, else the heartbeat."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.jobs import actor, ended, own_sql, running
from tests.support.waiting import wait_until
from tom_nightshift.ledger import presence as module
from tom_nightshift.ledger.presence import (
    Neighbour,
    Presence,
    anybody_alive,
    is_dead,
    lock_says_alive,
    neighbours,
)
from tom_nightshift.models import Worker


@pytest.fixture
def me(broker):
    presence = Presence(threads=2)
    with own_sql() as sql:
        presence.register(sql, ["default", "slow"])
    yield presence
    presence.release_lock()


@pytest.fixture
def row(me):
    """This worker as a neighbour sees it, who is in another process."""
    module._my_nonces.discard(me.nonce)
    with own_sql() as sql:
        return neighbours(sql, but="")[0]


def as_another_process_sees(row):
    """POSIX locks are between processes: another one has to look."""
    look = (
        "import sys; from tom_nightshift.ledger.presence import Neighbour, lock_says_alive; "
        f"print(lock_says_alive({row!r}))"
    )
    seen = subprocess.run(
        [sys.executable, "-c", f"from tom_nightshift.ledger.presence import Neighbour; {look}"],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    return seen.stdout.strip()


def test_the_row_says_who_it_is(me):
    row = Worker.objects.get()
    assert (row.pid, row.threads, row.queues, row.leaving) == (os.getpid(), 2, "default slow", False)
    found = os.stat(row.lock_path)
    assert (row.lock_device, row.lock_inode) == (found.st_dev, found.st_ino)


def test_while_the_lock_is_held_another_process_sees_that_it_lives(row):
    assert as_another_process_sees(row) == "True"


def test_once_the_lock_is_free_it_is_dead(me, row):
    os.close(me._lock)
    me._lock = None
    assert as_another_process_sees(row) == "False"


def test_its_own_lock_is_never_tried(me):
    """To open the file and close it again would free the lock."""
    with own_sql() as sql:
        (row,) = neighbours(sql, but="")
    assert lock_says_alive(row) is True
    assert as_another_process_sees(row) == "True"


def test_another_file_of_the_same_name_says_nothing(me, row):
    os.unlink(row.lock_path)
    with open(row.lock_path, "w") as other:
        other.write(row.nonce)
        assert os.fstat(other.fileno()).st_ino != row.lock_inode or lock_says_alive(row) is False
        assert lock_says_alive(replace(row, lock_inode=row.lock_inode + 1)) is None
    os.unlink(row.lock_path)


def test_a_copy_of_the_file_with_the_very_nonce_says_nothing(row):
    """As a container with its own folder of the same name would have it: nobody holds that file's lock."""
    nonce, held = Path(row.lock_path).read_bytes(), Path(f"{row.lock_path}.held")
    Path(row.lock_path).rename(held)  # stays, or the copy might be given its inode
    Path(row.lock_path).write_bytes(nonce)
    assert lock_says_alive(row) is None
    held.rename(row.lock_path)


HOLDS_A_LOCK = """
import django, pathlib, sys
django.setup()
from tom_nightshift.ledger import presence
presence.run_dir = lambda: pathlib.Path(sys.argv[1])
me = presence.Presence(threads=1)
print(*me._take_lock(), me.nonce, me._path, flush=True)
sys.stdin.read()
"""


def test_a_process_that_is_killed_frees_its_lock(broker, run_folder):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", HOLDS_A_LOCK, run_folder]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, text=True, env=environment, stdin=pipe, stdout=pipe) as child:
        assert child.stdout is not None
        device, inode, nonce, path = child.stdout.readline().split()
        row = Neighbour("name", "host", path, int(device), int(inode), nonce, silent=0.0, leaving=False)
        assert lock_says_alive(row) is True
        child.kill()
    assert lock_says_alive(row) is False
    os.unlink(path)


def test_a_missing_file_says_nothing(row):
    assert lock_says_alive(replace(row, lock_path="/nowhere/at.lock")) is None


def test_a_file_with_another_nonce_says_nothing(row):
    assert lock_says_alive(replace(row, nonce="another")) is None


@pytest.mark.parametrize(("silent", "dead"), [(59, False), (61, True)])
def test_without_a_lock_the_heartbeat_of_another_host_counts(row, silent, dead):
    unreadable = replace(row, lock_path="/nowhere", host="elsewhere", silent=silent)
    assert is_dead(unreadable, "postgresql") is dead
    assert is_dead(unreadable, "sqlite") is dead


def test_on_sqlite_a_neighbour_on_this_host_may_be_held_up_by_a_long_transaction(row):
    unreadable = replace(row, lock_path="/nowhere", silent=500)
    assert is_dead(unreadable, "postgresql")
    assert not is_dead(unreadable, "sqlite")


def test_a_lock_that_is_held_counts_more_than_silence(me):
    with own_sql() as sql:
        (row,) = neighbours(sql, but="")
    assert not is_dead(replace(row, silent=10_000), "postgresql")


def test_the_silence_is_counted_by_the_databases_clock(me, step_clock):
    step_clock(100)
    with own_sql() as sql:
        assert 99 < neighbours(sql, but="")[0].silent < 110
        assert me.beat(sql)
        assert neighbours(sql, but="")[0].silent < 5


def test_only_who_has_been_beating_for_a_whole_lease_may_judge_silence(me, nightshift, monkeypatch):
    nightshift(HEARTBEAT=10, LEASE=60)
    began = time.monotonic()
    judged = {}
    for second in [*range(0, 70, 10), 200, *range(210, 280, 10)]:  # away from 60 to 200
        monkeypatch.setattr(time, "monotonic", lambda second=second: began + second)
        judged[f"{second} before"] = me.may_judge_silence()
        with own_sql() as sql:
            assert me.beat(sql)
        judged[second] = me.may_judge_silence()
    assert [when for when, may in judged.items() if may] == [
        "60 before",
        60,
        "260 before",
        260,
        "270 before",
        270,
    ]


def test_a_beat_without_a_row_says_so(me):
    Worker.objects.all().delete()
    with own_sql() as sql:
        assert not me.beat(sql)


def test_without_a_lock_there_is_no_half_a_lock(broker, monkeypatch):
    def refused(*_):
        raise OSError("no locks available")

    monkeypatch.setattr(fcntl, "lockf", refused)
    presence = Presence(threads=1)
    with own_sql() as sql:
        presence.register(sql, [])
    row = Worker.objects.get()
    assert (row.lock_device, row.lock_inode) == (0, 0)
    assert not os.path.exists(presence._path)


def test_signing_off_removes_the_row_but_not_while_jobs_name_it(me, broker):
    from tests.support.jobs import claimed

    actor(lambda: None, actor_name="task", broker=broker).send()
    with own_sql() as sql:
        claimed(sql, worker=me.name)
        assert not me.sign_off(sql)
    assert Worker.objects.count() == 1


class TestAWorker:
    """What a real worker does about it."""

    def test_it_is_there_while_it_runs_and_gone_after(self, broker):
        task = actor(lambda: None, actor_name="task", broker=broker)
        with running(broker, threads=3):
            ended(task.send())
            row = Worker.objects.get()
            assert (row.threads, row.queues) == (3, "default")
            with own_sql() as sql:
                assert anybody_alive(sql)
        assert Worker.objects.count() == 0
        assert not os.path.exists(row.lock_path)
        with own_sql() as sql:
            assert not anybody_alive(sql)

    def test_taken_for_dead_it_registers_anew_and_goes_on(self, broker, nightshift):
        nightshift(HEARTBEAT=0.1)
        task = actor(lambda: None, actor_name="task", broker=broker)
        with running(broker):
            first = wait_until(lambda: Worker.objects.first())
            Worker.objects.all().delete()
            second = wait_until(lambda: Worker.objects.first())
            assert second.name != first.name
            assert ended(task.send()).worker == second.name
            assert not os.path.exists(first.lock_path)

    def test_registered_without_hearing_of_it_it_is_registered_once(self, broker):
        """The line was cut between the commit and its answer: the worker tries again."""
        presence = Presence(threads=2)
        for _ in range(2):
            with own_sql() as sql:
                presence.register(sql, ["default"])
        presence.release_lock()
        assert [worker.name for worker in Worker.objects.all()] == [presence.name]

    def test_it_leaves_no_bell_and_no_lock_behind(self, broker, run_folder):
        before = set(os.listdir(run_folder))
        with running(broker):
            wait_until(lambda: set(os.listdir(run_folder)) - before)
        assert set(os.listdir(run_folder)) <= before
        broker.dispatcher.bell.ring_here()  # harmless
