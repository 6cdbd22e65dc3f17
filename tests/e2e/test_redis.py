"""Redis carries the jobs of a site: a real server, which is emptied and stopped, and real workers."""

from __future__ import annotations

import json

import pytest

from tests.app.tasks import append, fail, pass_gate
from tests.support.jobs import ended, job_of, reached
from tests.support.waiting import wait_until
from tests.support.workers import PATIENCE, Site
from tom_nightshift.models import Job
from tom_nightshift.states import FINAL, State
from tools import servers

redis = pytest.importorskip("redis")

MANY = 400
QUEUE = "dramatiq:default"


@pytest.fixture(scope="module")
def server():
    with servers.private_redis() as server:
        yield server


@pytest.fixture
def client(server):
    client = redis.Redis.from_url(server.address)
    client.flushall()
    yield client
    client.close()


@pytest.fixture
def carried(site, server, client):
    """The site, whose workers have Redis for a carrier."""
    return Site(site.folder, site.run_dir, {"NIGHTSHIFT_BROKER": server.address})


def all_ended(count, at_most=PATIENCE):
    wait_until(
        lambda: Job.objects.filter(state__in=FINAL).count() == count, at_most=at_most, what=f"{count} jobs"
    )


def send_many(file, count=MANY):
    return [append.send(str(file)) for _ in range(count)]


def ids(file):
    return sorted(int(line) for line in file.read_text().split())


def test_every_job_is_run_once_and_every_state_is_right(carried, tmp_path, client):
    file = tmp_path / "ran"
    send_many(file)
    bad = [fail.send() for _ in range(5)]
    with carried.worker("--processes=2", "--threads=8", ready=2) as worker:
        all_ended(MANY + 5)
    assert ids(file) == sorted(Job.objects.exclude(state=State.FAILED).values_list("id", flat=True))
    assert set(Job.objects.values_list("state", "attempt")) == {(State.SUCCEEDED, 1), (State.FAILED, 1)}
    assert {job_of(message).state for message in bad} == {State.FAILED}
    assert not Job.objects.exclude(published_at=None).exists()
    assert "is sent again" not in worker.log
    assert "engine fault" not in worker.log
    assert not client.llen(QUEUE)


def test_a_doorbell_has_no_arguments_in_it(carried, tmp_path, client, gate):
    secret = "a-secret-of-the-caller"
    waiting = pass_gate.send(str(gate.folder))
    with carried.worker("--threads=1"):
        wait_until(gate.came, at_most=PATIENCE)
        append.send(str(tmp_path / secret))
        bells = wait_until(lambda: client.hvals(f"{QUEUE}.msgs")[1:], at_most=PATIENCE)
        gate.open()
        all_ended(2)
    assert secret.encode() not in b"".join(client.hvals(f"{QUEUE}.msgs") + bells)
    assert json.loads(bells[0])["args"] == []
    assert job_of(waiting).state == State.SUCCEEDED


def test_without_a_worker_nothing_is_in_redis(carried, tmp_path, client):
    send_many(tmp_path / "ran", 10)
    assert client.dbsize() == 0


def test_redis_is_emptied_in_the_middle(carried, tmp_path, client):
    file = tmp_path / "ran"
    with carried.worker("--processes=2", "--threads=4", ready=2):
        send_many(file)
        wait_until(lambda: Job.objects.filter(state__in=FINAL).count() > MANY / 4, at_most=PATIENCE)
        client.flushall()
        all_ended(MANY)
    assert ids(file) == sorted(Job.objects.values_list("id", flat=True))
    assert set(Job.objects.values_list("state", flat=True)) == {State.SUCCEEDED}


@pytest.mark.parametrize("key", [QUEUE, f"{QUEUE}.msgs", "both"])
def test_redis_forgets_one_key_and_nothing_else(carried, tmp_path, client, gate, key):
    """As when it is short of memory: what names the time since it last forgot everything is still there."""
    running = pass_gate.send(str(gate.folder))
    with carried.worker("--threads=1") as worker:
        wait_until(gate.came, at_most=PATIENCE)
        many = send_many(tmp_path / "ran", 30)
        wait_until(lambda: job_of(many[-1]).published_at, at_most=PATIENCE)
        client.delete(*([QUEUE, f"{QUEUE}.msgs"] if key == "both" else [key]))
        gate.open()
        for message in (running, *many):
            assert ended(message, at_most=PATIENCE).state == State.SUCCEEDED
        assert worker.process.poll() is None
    assert len(ids(tmp_path / "ran")) == 30


def test_a_click_goes_through_while_redis_is_away_and_its_job_runs_when_it_is_back(carried, tmp_path, server):
    with carried.worker() as worker:
        server.crash()
        message = append.send(str(tmp_path / "ran"))
        worker.says("Redis cannot be reached")
        assert job_of(message).state == State.WAITING
        server.start()
        worker.says("Redis answers again")
        assert ended(message, at_most=PATIENCE).state == State.SUCCEEDED
    assert "Traceback" not in worker.log


def test_a_job_whose_worker_is_killed_runs_again(carried, gate):
    message = pass_gate.send(str(gate.folder))
    with carried.worker() as worker:
        wait_until(gate.came, at_most=PATIENCE)
        worker.kill_child()
        wait_until(lambda: len(gate.came()) == 2, at_most=PATIENCE, what="second attempt")
        gate.open()
        job = ended(message, at_most=PATIENCE)
    assert (job.state, job.attempt, job.losses) == (State.SUCCEEDED, 2, 1)
    assert gate.passed() == [str(job.id)]


def test_a_delayed_job_waits_in_the_database(carried, tmp_path, client):
    with carried.worker():
        message = append.send_with_options(args=(str(tmp_path / "ran"),), delay=1_500)
        assert not client.llen(f"{QUEUE}.DQ")
        assert ended(message, at_most=PATIENCE).state == State.SUCCEEDED


def test_a_wrong_password_is_told_without_it(carried, site, server, tmp_path):
    wrong = server.address.replace("redis://:", "redis://:not-")
    message = append.send(str(tmp_path / "ran"))
    with Site(site.folder, site.run_dir, {"NIGHTSHIFT_BROKER": wrong}).worker() as worker:
        worker.says("Redis cannot be reached (invalid username-password pair")
        assert job_of(message).state == State.WAITING
        assert "not-" not in worker.log


def test_jobs_move_from_the_database_to_redis_and_back(carried, site, tmp_path, gate):
    """The setting is changed, and the worker restarted."""
    file = tmp_path / "ran"
    early = append.send(str(file))
    delayed = append.send_with_options(args=(str(file),), delay=3_000)
    running = pass_gate.send(str(gate.folder))
    with site.worker("--threads=1", "--grace=0.1"):
        ended(early, at_most=PATIENCE)
        wait_until(gate.came, at_most=PATIENCE)
        waiting = append.send(str(file))
    with carried.worker("--threads=1", "--grace=0.1"):
        wait_until(lambda: len(gate.came()) == 2, at_most=PATIENCE, what="second attempt")
        reached(running, state=State.RUNNING)
        wait_until(lambda: job_of(waiting).published_at or job_of(waiting).is_final, at_most=PATIENCE)
    with site.worker("--threads=2"):
        wait_until(lambda: len(gate.came()) == 3, at_most=PATIENCE, what="third attempt")
        gate.open()
        for message in (early, delayed, running, waiting):
            assert ended(message, at_most=PATIENCE).state == State.SUCCEEDED
    assert ids(file) == sorted(job_of(message).id for message in (early, delayed, waiting))
    assert gate.passed() == [str(job_of(running).id)]


UNTRACKED = """
from tests.app.tasks import append_untracked
append_untracked.send({file!r})
"""

FOREIGN = """
import dramatiq
from dramatiq.brokers.redis import RedisBroker
broker = RedisBroker(url={address!r})
broker.declare_queue("default")
for task in ("append", "unheard_of"):
    broker.enqueue(dramatiq.Message("default", task, ({file!r},), {{}}, {{}}))
"""


def test_a_task_that_is_not_tracked_leaves_no_row(carried, tmp_path):
    file = tmp_path / "ran"
    carried.shell(UNTRACKED.format(file=str(file)))
    with carried.worker():
        wait_until(file.exists, at_most=PATIENCE)
    assert not Job.objects.exists()


def test_a_message_that_was_sent_without_nightshift_becomes_a_job(carried, server, tmp_path):
    file = tmp_path / "ran"
    carried.shell(FOREIGN.format(address=server.address, file=str(file)))
    with carried.worker() as worker:
        wait_until(file.exists, at_most=PATIENCE)
        wait_until(lambda: Job.objects.filter(hold="parked").exists(), at_most=PATIENCE)
        all_ended(1)
    assert sorted(Job.objects.values_list("task", "state")) == [
        ("append", State.SUCCEEDED),
        ("unheard_of", State.WAITING),
    ]
    assert "set aside" not in worker.log


def test_a_worker_that_drains_ends_when_nothing_is_left(carried, tmp_path):
    file = tmp_path / "ran"
    send_many(file, 50)
    with carried.worker("--drain") as worker:
        assert worker.wait() == 0
    assert Job.objects.filter(state=State.SUCCEEDED).count() == 50
