"""A folder of each job's own: what one attempt leaves there, later ones find; it goes when the job is over.

It is only ever a saving of time. A worker that does not share the place finds an empty folder, and does the
work again. A name holds the job's message id, which nobody can guess: some web servers hand out all that lies
under ``MEDIA_ROOT``.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tom_nightshift import events
from tom_nightshift.conf import django_setting, get_settings
from tom_nightshift.ledger import storable
from tom_nightshift.ledger.attempt import Attempt, current
from tom_nightshift.ledger.rundir import run_dir
from tom_nightshift.ledger.session import OwnConnection, marks
from tom_nightshift.ledger.speaking import say
from tom_nightshift.states import FINAL

BATCH = 500
UNKNOWN_FOR = 7 * 86_400.0
"""Seconds unused after which a folder goes whose job this database does not know: it may be another's."""


@contextlib.contextmanager
def job_folder(*made_from: object) -> Iterator[Path]:
    """A folder of this job's own. Later attempts of the job find what this one leaves there; soon after the
    job is over, however it ends, the folder goes.

    ::

        with job_folder(checksum, threshold) as folder:
            file = folder / "frame-3.fits"
            with step("frame 3") as this:
                this.done = file.exists()
                if not this.done:
                    with whole_file(file) as unfinished:
                        reduce(frame, unfinished)

    Outside a job, and where no folder can be made to last (the job's log says so), it goes with the block.

    Parameters:
        made_from: all that the files depend on, as values that JSON can hold. An attempt that names other
            values has another folder, so old and new are never mixed.

    Raises:
        TypeError, ValueError: JSON cannot hold a value of ``made_from``.
        OSError: there is no place for a temporary folder either.
    """
    part = hashlib.sha256(storable.as_json(made_from).encode()).hexdigest()[:16]
    with contextlib.ExitStack() as stack:
        lasting = _lasting(part)
        yield lasting or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nightshift-")))


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Write a file that is there as a whole or not at all, whatever kills the process meanwhile.

    Gives the path to write to, beside the file and with its ending; it takes the file's name when the block
    ends, and goes when the block fails.

    Raises:
        OSError: it cannot be written, or the block has written nothing.
    """
    unfinished = path.with_name(f".{secrets.token_hex(8)}-{path.name}")
    try:
        yield unfinished
        _take_to_disk(unfinished)
        os.replace(unfinished, path)
    finally:
        with contextlib.suppress(OSError):
            unfinished.unlink()


def remove_folder(attempt: Attempt) -> None:
    """Remove the folder of a job that is over."""
    with contextlib.suppress(OSError):
        shutil.rmtree(_folder(attempt))


def remove_finished(connection: OwnConnection) -> int:
    """Remove the folders of jobs that are over. The number removed."""
    folders = _all()
    states = _states(connection, sorted({job_id for job_id, _ in folders}))
    over = [
        folder
        for job_id, folder in folders
        if (states[job_id] in FINAL if job_id in states else _is_forgotten(folder))
    ]
    for folder in over:
        shutil.rmtree(folder, ignore_errors=True)
    return len(over)


def _lasting(part: str) -> Path | None:
    """The folder in which this job's files last; None outside a job, and where there can be none."""
    attempt = current.get()
    if attempt is None:
        return None
    try:
        folder = _folder(attempt)
        _place().mkdir(mode=0o700, parents=True, exist_ok=True)
        (folder / part).mkdir(parents=True, exist_ok=True)
        os.utime(folder)
    except OSError as error:
        say(f"this job cannot keep files for a later try ({events.first_line(error)})")
        return None
    return folder / part


def _place() -> Path:
    """Where the folders of all jobs are. Not the private folder for locks, unless there is no other: it is
    of one machine, and goes with a restart of a container.
    """
    media = str(django_setting("MEDIA_ROOT", "") or "")
    if get_settings().work_dir:
        return Path(get_settings().work_dir)
    return Path(media) / ".nightshift" if media else run_dir() / "work"


def _folder(attempt: Attempt) -> Path:
    return _place() / f"{attempt.job_id}-{attempt.message_id}"


def _take_to_disk(path: Path) -> None:
    """Else a machine that loses power could find the name without the content."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _all() -> list[tuple[int, Path]]:
    """The folders that are there, with the ids of their jobs."""
    try:
        found = list(_place().iterdir())
    except OSError:  # no job has had one yet, or it is out of reach for now
        return []
    ids = [(folder.name.partition("-")[0], folder) for folder in found]
    return [(int(job_id), folder) for job_id, folder in ids if job_id.isdecimal()]


def _states(connection: OwnConnection, job_ids: list[int]) -> dict[int, str]:
    states: dict[int, str] = {}
    for start in range(0, len(job_ids), BATCH):
        ids = job_ids[start : start + BATCH]
        with connection.reading() as sql:
            states |= sql.rows(f"SELECT id, state FROM tom_nightshift_job WHERE id IN ({marks(ids)})", ids)
    return states


def _is_forgotten(folder: Path) -> bool:
    try:
        return time.time() - folder.stat().st_mtime > UNKNOWN_FOR
    except OSError:  # another worker is faster
        return False
