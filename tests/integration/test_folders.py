"""A folder of the job's own: later attempts find what is in it, and it goes when the job is over."""

from __future__ import annotations

import os
import stat

import pytest

from tests.support.jobs import actor, ended, job_of, log_of, own_sql, running
from tests.support.waiting import wait_until
from tom_nightshift import job_folder, testing, whole_file
from tom_nightshift.broker.inline import drain
from tom_nightshift.ledger import folders
from tom_nightshift.ledger.session import OwnConnection
from tom_nightshift.models import Job
from tom_nightshift.states import State
from tom_nightshift.worker import housekeeping


@pytest.fixture
def place(nightshift, tmp_path):
    """Where the folders of all jobs are."""
    nightshift(WORK_DIR=str(tmp_path / "work"))
    return tmp_path / "work"


@pytest.fixture
def tidy(transactional_db):
    """Remove the folders of jobs that are over, as a worker does; how many."""
    connection = OwnConnection()
    yield lambda: folders.remove_finished(connection)
    connection.close()


def in_it(place):
    return sorted(path.name for path in place.rglob("*") if path.is_file())


class TestInAJob:
    def test_the_next_attempt_finds_what_one_left(self, broker, place):
        found = []

        def task():
            with job_folder("a.fits", 3.0) as folder:
                found.append([file.name for file in folder.iterdir()])
                if not found[1:]:
                    (folder / "part").write_text("x")
                    raise ValueError

        with running(broker):
            message = actor(task, actor_name="task", broker=broker, max_attempts=2, backoff=0.01).send()
            assert ended(message).state == State.SUCCEEDED
        assert found == [[], ["part"]]

    def test_what_was_made_from_something_else_is_not_there(self, run, place):
        found = []

        def task():
            for threshold in (3.0, 5.0, 3.0):
                with job_folder("a.fits", threshold) as folder:
                    found.append((folder / "part").exists())
                    (folder / "part").touch()

        assert run(task).state == State.SUCCEEDED
        assert found == [False, False, True]

    def test_another_job_has_another(self, broker, place):
        found = []

        def task():
            with job_folder("a.fits") as folder:
                found.append(folder)

        with running(broker):
            task = actor(task, actor_name="task", broker=broker)
            for message in (task.send(), task.send()):
                ended(message)
        assert len(set(found)) == 2

    def test_what_json_cannot_hold_is_refused(self, run, place):
        def task():
            with job_folder(object()):
                pass

        assert run(task).reason == "TypeError"

    @pytest.mark.parametrize("media", ["media", ""])
    def test_by_default_it_lies_in_media_hidden_and_for_nobody_else(self, run, settings, tmp_path, media):
        settings.MEDIA_ROOT = str(tmp_path / media) if media else ""
        found = []

        def task():
            with job_folder() as folder:
                found.append(folder)

        job = run(task)
        place = found[0].parent.parent
        assert found[0].parent.name == f"{job.pk}-{job.message_id}"
        assert (place.name, stat.S_IMODE(place.stat().st_mode)) == (".nightshift" if media else "work", 0o700)
        assert place.is_relative_to(settings.MEDIA_ROOT if media else settings.NIGHTSHIFT["RUN_DIR"])

    def test_where_there_can_be_none_the_work_is_done_all_the_same(self, run, nightshift, tmp_path):
        (tmp_path / "file").touch()
        nightshift(WORK_DIR=str(tmp_path / "file" / "work"))
        found = []

        def task():
            with job_folder() as folder, whole_file(folder / "part") as unfinished:
                unfinished.touch()
                found.append(folder)

        job = run(task)
        assert job.state == State.SUCCEEDED
        assert "this job cannot keep files for a later try (NotADirectoryError" in "".join(log_of(job))
        assert not found[0].exists()


def test_outside_a_job_it_goes_with_its_block():
    with job_folder("a.fits") as folder:
        (folder / "part").touch()
    assert not folder.exists()


class TestWholeFile:
    def test_it_takes_its_name_when_it_is_whole(self, tmp_path):
        with whole_file(tmp_path / "a.fits") as unfinished:
            assert unfinished.suffix == ".fits"
            unfinished.write_text("whole")
            assert not (tmp_path / "a.fits").exists()
        assert (tmp_path / "a.fits").read_text() == "whole"
        assert os.listdir(tmp_path) == ["a.fits"]

    def test_a_block_that_fails_leaves_what_was_there(self, tmp_path):
        (tmp_path / "a.fits").write_text("before")

        def write():
            with whole_file(tmp_path / "a.fits") as unfinished:
                unfinished.write_text("half")
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            write()
        assert (tmp_path / "a.fits").read_text() == "before"
        assert os.listdir(tmp_path) == ["a.fits"]

    def test_a_block_that_writes_nothing_is_told_so(self, tmp_path):
        with pytest.raises(FileNotFoundError), whole_file(tmp_path / "a.fits"):
            pass


class TestAfterwards:
    @pytest.fixture
    def left_by(self, broker, place):
        """Folders that jobs in these states have left behind."""

        def leave(*states):
            task = actor(lambda: None, actor_name="task", broker=broker)
            for state in states:
                job = job_of(task.send())
                folder = place / f"{job.pk}-{job.message_id}" / "0123456789abcdef"
                folder.mkdir(parents=True)
                (folder / str(state)).touch()
                with own_sql() as sql:
                    sql.run("UPDATE tom_nightshift_job SET state = %s WHERE id = %s", [state, job.pk])

        return leave

    def test_only_those_of_jobs_that_are_not_over_stay(self, left_by, place, tidy):
        left_by(*State)
        assert tidy() == 6
        assert in_it(place) == ["running", "waiting"]
        assert tidy() == 0

    def test_one_whose_job_is_not_known_stays_for_a_week(self, left_by, place, tidy):
        left_by(State.RUNNING)
        Job.objects.all().delete()
        assert tidy() == 0
        for folder in place.iterdir():
            os.utime(folder, (0, 0))
        assert tidy() == 1

    def test_what_is_not_ours_stays(self, place, tidy):
        for name in ("notes", "-1-x", "x-1"):
            (place / name).mkdir(parents=True)
            os.utime(place / name, (0, 0))
        assert tidy() == 0
        assert len(os.listdir(place)) == 3

    def test_where_there_is_nothing_nothing_is_done(self, place, tidy):
        assert tidy() == 0

    @pytest.mark.parametrize("ends", ["succeeds", "fails"])
    def test_a_worker_removes_it(self, broker, place, monkeypatch, ends):
        monkeypatch.setattr(housekeeping, "TIDY_INTERVAL", 0.05)
        look, looks, found = folders.remove_finished, [], []
        monkeypatch.setattr(folders, "remove_finished", lambda sql: looks.append(look(sql)))

        def task():
            with job_folder() as folder:
                (folder / "part").touch()
                before = len(looks)
                wait_until(lambda: len(looks) > before + 1, what="a look while it runs")
                found.extend(in_it(place))
            return 1 / (ends == "succeeds")

        with running(broker):
            ended(actor(task, actor_name="task", broker=broker).send())
            wait_until(lambda: not os.listdir(place), what="removal of the folder")
        assert found == ["part"]

    def test_a_job_that_runs_where_it_was_asked_for_leaves_none(self, broker, place):
        def task():
            with job_folder() as folder:
                (folder / "part").touch()

        task = actor(task, actor_name="task", broker=broker)
        with testing.waiting():
            task.send()
        assert drain(broker) == 1
        assert os.listdir(place) == []
