"""``manage.py nightshift doctor`` beside real workers: well, stopped, killed, crashed; and a broken app."""

from __future__ import annotations

import json
import os
import signal
import subprocess

from tests.app.tasks import crash, pass_gate
from tests.support.jobs import ended
from tests.support.waiting import wait_until
from tests.support.workers import PATIENCE, ROOT, Site


def doctor(site, **settings):
    """Its findings by name, and its exit code."""
    done = subprocess.run(
        [*site.command("nightshift", "doctor", "--json")],
        env=site.environment_with(settings), cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE,
    )  # fmt: skip
    assert done.stdout, done.stderr
    return {one["name"]: one for one in json.loads(done.stdout)["findings"]}, done.returncode


def test_all_is_well_beside_a_worker(site):
    with site.worker():
        assert (doctor(site)[0].keys(), doctor(site)[1]) == ({""}, 0)


def test_a_worker_that_was_killed_and_nobody_took_its_place(site, gate):
    pass_gate.send(str(gate.folder))
    with site.worker() as worker:
        wait_until(gate.came, at_most=PATIENCE)
        worker.end()
        found, code = doctor(site)
    assert (found.keys(), code) == ({"", "worker-dead", "no-worker"}, 1)
    assert "1 jobs are still marked as its own" in found["worker-dead"]["what"]


def test_a_worker_that_is_stopped(site):
    with site.worker(HEARTBEAT=0.1) as worker:
        (child,) = worker.children()
        os.kill(child, signal.SIGSTOP)
        found = wait_until(
            lambda: (seen := doctor(site, HEARTBEAT=0.1)[0]).keys() >= {"worker-silent"} and seen,
            at_most=PATIENCE,
        )
    assert f"process {child}" in found["worker-silent"]["todo"]


def test_jobs_that_crash_their_worker(site, tmp_path):
    message = crash.send(str(tmp_path / "crashed"))
    with site.worker(MAX_LOSSES=1) as worker:
        ended(message, at_most=PATIENCE)
        worker.says(" is ready: ", 2)
        found, code = doctor(site)
    assert (found.keys(), code) == ({"", "jobs-set-aside"}, 0)
    assert "1 jobs of crash" in found["jobs-set-aside"]["what"]


def test_an_app_whose_tasks_cannot_be_loaded(site, tmp_path, run_dir):
    (tmp_path / "brokenapp").mkdir()
    (tmp_path / "brokenapp" / "__init__.py").touch()
    (tmp_path / "brokenapp" / "tasks.py").write_text(
        "import dramatiq\n"
        "@dramatiq.actor(max_attempts=2, max_retries=1)\n"
        "def contradicts_itself(): ...\n"
    )  # fmt: skip
    (tmp_path / "broken_settings.py").write_text(
        "from tests.settings_e2e import *\nINSTALLED_APPS = [*INSTALLED_APPS, 'brokenapp']\n"
    )
    environment = {
        "DJANGO_SETTINGS_MODULE": "broken_settings",
        "PYTHONPATH": os.pathsep.join(map(str, (ROOT / "src", ROOT / "demo", ROOT, tmp_path))),
    }
    with site.worker():
        found, code = doctor(Site(tmp_path, run_dir, environment))
    assert (found.keys(), code) == ({"", "tasks-broken"}, 1)
    assert "max_attempts and max_retries say the same thing" in found["tasks-broken"]["what"]
