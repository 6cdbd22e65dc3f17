"""PostgreSQL crashes, ends connections, or commits and is not heard."""

from __future__ import annotations

import json
import os
import random
import threading
from urllib.parse import urlsplit

import pytest
from django.db import connection

from tests import databases
from tests.chaos.conftest import LONG
from tests.chaos.cutting import Cutter
from tests.chaos.tasks import send
from tests.support.waiting import wait_until
from tests.support.workers import Site
from tom_nightshift.models import Job
from tools.servers import private_postgres

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(1800)]

ROUNDS = 20 if LONG else 2
PROCESSES, THREADS = 2, 4
WORDS = (f"--processes={PROCESSES}", f"--threads={THREADS}")
QUICK = {"HEARTBEAT": 0.5, "LEASE": 60}

TERMINATE = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


def pause(seconds):
    threading.Event().wait(seconds)


@pytest.fixture
def server():
    with private_postgres() as server:
        yield server


@pytest.fixture
def elsewhere(server, run_dir, tmp_path):
    """A site on a server that may be crashed."""
    its = {databases.CHOICE: "postgres", databases.SERVER: server.address, databases.NAME: ""}
    site = Site(tmp_path, run_dir, {"DJANGO_SETTINGS_MODULE": "tests.settings_chaos", **its})
    site.run("migrate", "--verbosity=0")
    return site


def test_the_server_crashes_and_comes_back(elsewhere, server, trial):
    asking = f"send({str(trial.diary)!r}, {60 * ROUNDS}, 0.5, {trial.seed})"
    elsewhere.shell(f"from tests.chaos.tasks import send; {asking}")
    with elsewhere.worker(*WORDS, ready=PROCESSES, **QUICK) as worker:
        for number in range(1, ROUNDS + 1):
            pause(trial.chance.uniform(0.3, 1.0))
            server.crash()
            worker.says("the database does not answer", number)
            server.start()
            worker.says("the database answers again", number)
        trial.ends_well(
            "PostgreSQL crashes and comes back",
            faults=ROUNDS,
            in_flight=PROCESSES * THREADS,
            still_open=lambda: asked(elsewhere, "Job.objects.open().count()"),
            rows=lambda: asked(elsewhere, "told()"),
        )
        assert worker.process.poll() is None
        assert "was killed" not in worker.log


def asked(site, question):
    code = "import json; from tests.chaos.oracle import Job, told; "
    return json.loads(site.shell(f"{code} print(json.dumps({question}))"))


def test_connections_are_terminated_again_and_again(site, trial):
    send(str(trial.diary), 60 * ROUNDS, 0.5, trial.seed)
    with site.worker(*WORDS, ready=PROCESSES, **QUICK) as worker:
        ended = 0
        for _ in range(5 * ROUNDS):
            pause(trial.chance.uniform(0.02, 0.3))
            with connection.cursor() as cursor:
                cursor.execute(TERMINATE)
                ended += len(cursor.fetchall())
        assert ended > 0
        trial.ends_well(
            "Connections are terminated by the server", faults=5 * ROUNDS, in_flight=PROCESSES * THREADS
        )
        assert worker.process.poll() is None
        assert "was killed" not in worker.log


def test_commits_that_are_not_heard(site, trial):
    """The line is cut between the commit, of a claim or of an end, and its answer."""
    lost = random.Random(trial.seed)
    address = urlsplit(os.environ[databases.SERVER])
    with Cutter((address.hostname or "", address.port or 5432), lambda: lost.random() < 0.1) as cutter:
        site.environment |= {databases.SERVER: address._replace(netloc=through(address, cutter)).geturl()}
        send(str(trial.diary), 60 * ROUNDS, 0.2, trial.seed)
        with site.worker(*WORDS, ready=PROCESSES, **QUICK) as worker:
            wait_until(
                lambda: cutter.count >= 5 * ROUNDS or not Job.objects.open().exists(),
                at_most=60 * ROUNDS,
                what="cuts",
            )
            assert cutter.count > ROUNDS, worker.log
            cutter.cuts = lambda: False
            trial.ends_well(
                "The answer to a COMMIT is lost", faults=cutter.count, in_flight=PROCESSES * THREADS
            )
            worker.says("is put back")  # a claim was among them
            assert worker.stop() == 0


def through(address, cutter):
    return f"{address.username}:{address.password}@127.0.0.1:{cutter.port}"
