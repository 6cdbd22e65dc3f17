"""How long a job that failed waits before it is tried again."""

from __future__ import annotations

import http.server
import threading
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from email.utils import formatdate

import pytest
from dramatiq.errors import Retry

from tests.support.jobs import actor, ended, job_of, raising, reached, running
from tom_nightshift import TaskError, current_job
from tom_nightshift.ledger import retrying
from tom_nightshift.states import State


@pytest.fixture
def wait(broker):
    """Fail once by this function; seconds until the job is tried again."""

    def wait_after(fn, **options):
        declared = {"max_attempts": 2, "backoff": 10} | options
        task = actor(fn, actor_name="task", broker=broker, **declared)
        with running(broker):
            job = reached(task.send(), state=State.WAITING, attempt=1)
        assert (job.failures, job.reason) == (1, "retry")
        return (job.run_at - job.attempts.get().finished_at).total_seconds()

    return wait_after


class TooBusy(Exception):
    """Carries what a server asked for."""

    def __init__(self, retry_after):
        super().__init__("too busy")
        self.retry_after = retry_after


class TestBackoff:
    """A number is doubled each time, with jitter; a function says it itself."""

    def test_a_number(self, wait):
        assert 9 < wait(lambda: 1 / 0) < 21

    def test_a_function_is_given_the_error_and_the_job(self, wait):
        asked = []

        def backoff(error, job):
            asked.append((type(error), job.task, job.attempt, job.failures))
            return 300

        assert 299 < wait(lambda: 1 / 0, backoff=backoff) < 301
        assert asked == [(ZeroDivisionError, "task", 1, 0)]

    def test_the_job_says_how_often_it_has_failed(self, broker):
        asked = []

        def backoff(error, job):
            asked.append(job.failures)
            return 0

        seen = []

        def fails():
            seen.append(current_job().failures)
            raise ValueError

        task = actor(fails, actor_name="task", max_attempts=3, backoff=backoff, broker=broker)
        with running(broker):
            assert ended(task.send()).attempt == 3
        assert (asked, seen) == ([0, 1], [0, 1, 2])

    def test_zero_is_at_once(self, broker):
        task = actor(lambda: 1 / 0, actor_name="t", max_attempts=3, backoff=lambda *_: 0, broker=broker)
        with running(broker):
            job = ended(task.send())
        assert (job.state, job.attempt, job.failures) == (State.FAILED, 3, 2)

    @pytest.mark.parametrize(
        "backoff",
        [lambda *_: 1 / 0, lambda *_: None, lambda *_: -1, lambda *_: float("nan"), lambda: 5],
        ids=["raises", "nothing", "below zero", "no number", "takes nothing"],
    )
    def test_a_function_that_fails_does_not_cost_the_job_its_retry(self, wait, backoff, caplog):
        assert 14 < wait(lambda: 1 / 0, backoff=backoff) < 31  # Dramatiq's own 15 s, with jitter
        assert "task: its backoff function failed" in caplog.text

    def test_months_are_cut(self, wait):
        assert wait(lambda: 1 / 0, backoff=lambda *_: 1e9) < retrying.LONGEST + 1


class TestRetryAfter:
    """What a server asks for is waited for, at least."""

    @pytest.mark.parametrize(
        ("value", "least", "most"),
        [
            (300, 299, 301),
            ("300.5", 300, 302),
            (1, 9, 21),
            (None, 9, 21),
            (-5, 9, 21),
            ("soon", 9, 21),
            (object(), 9, 21),
            (float("nan"), 9, 21),
            (1e12, retrying.LONGEST - 1, retrying.LONGEST + 1),
        ],
    )
    def test_an_error_that_says_so(self, wait, value, least, most):
        assert least < wait(raising(TooBusy(value))) < most

    def test_one_that_caused_it(self, wait):
        def task():
            try:
                raise TooBusy(300)
            except TooBusy as error:
                raise TaskError("ATLAS is busy") from error

        assert 299 < wait(task) < 301

    def test_an_error_whose_attributes_fail(self, wait):
        class Odd(Exception):
            @property
            def retry_after(self):
                raise RuntimeError

            response = retry_after

        assert 9 < wait(raising(Odd())) < 21

    def test_at_least_with_a_function_too(self, wait):
        assert 299 < wait(raising(TooBusy(300)), backoff=lambda *_: 1) < 301

    @pytest.mark.parametrize("how", ["seconds", "date"])
    @pytest.mark.parametrize("client", ["urllib", "requests", "httpx"])
    def test_a_real_server(self, wait, client, how):
        """Both ways in which HTTP says it, as the clients carry it."""
        value = "300" if how == "seconds" else formatdate(time.time() + 300, usegmt=True)
        ask = CLIENTS[client]()
        with busy_server(value) as address:
            assert 295 < wait(lambda: ask(address)) < 301


class TestDramatiqs:
    """What Dramatiq itself offers stays as it is."""

    def test_its_own_retry_says_when(self, wait):
        def task():
            raise Retry("in a while", delay=60_000) from TooBusy(300)

        assert 59 < wait(task, backoff=lambda *_: 5) < 61

    def test_its_own_retry_that_does_not_say_when(self, wait):
        assert 299 < wait(raising(Retry("in a while")), backoff=lambda *_: 300) < 301

    def test_throws_needs_no_retry(self, broker):
        task = actor(raising(TooBusy(300)), actor_name="task", max_attempts=5, throws=TooBusy, broker=broker)
        with running(broker):
            job = ended(task.send())
        assert (job.state, job.attempt, job.reason) == (State.FAILED, 1, "TooBusy")

    def test_throws_takes_several(self, broker):
        task = actor(
            raising(TooBusy(300)),
            actor_name="task",
            max_attempts=5,
            throws=(KeyError, TooBusy),
            broker=broker,
        )
        with running(broker):
            assert ended(task.send()).attempt == 1

    def test_a_broken_function_of_another_task_is_not_asked(self, broker):
        """The options are those of the task that failed."""
        actor(lambda: None, actor_name="other", backoff=lambda *_: 1 / 0, broker=broker)
        task = actor(lambda: 1 / 0, actor_name="task", max_attempts=2, backoff=10, broker=broker)
        with running(broker):
            message = task.send()
            reached(message, state=State.WAITING, attempt=1)
        assert job_of(message).failures == 1


@contextmanager
def busy_server(retry_after):
    """A web server that is too busy."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(503)
            self.send_header("Retry-After", retry_after)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def with_urllib():
    def ask(address):
        try:
            urllib.request.urlopen(address)
        except urllib.error.HTTPError as error:
            error.close()
            raise

    return ask


def with_requests():
    requests = pytest.importorskip("requests")

    def ask(address):
        with requests.get(address, timeout=10) as answer:
            answer.raise_for_status()

    return ask


def with_httpx():
    httpx = pytest.importorskip("httpx")
    return lambda address: httpx.get(address).raise_for_status()


CLIENTS = {"urllib": with_urllib, "requests": with_requests, "httpx": with_httpx}
