"""``manage.py nightshift``: run the workers; with a word after it, what that word says."""

from __future__ import annotations

import getpass
from argparse import SUPPRESS, ArgumentTypeError
from collections.abc import Callable
from dataclasses import fields
from functools import partial
from typing import Any

import dramatiq
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError
from django.urls import get_resolver
from django.utils.module_loading import autodiscover_modules

from tom_nightshift import events
from tom_nightshift.conf import get_settings
from tom_nightshift.doctor import report
from tom_nightshift.doctor.findings import Level
from tom_nightshift.doctor.rounds import examine
from tom_nightshift.ledger.holding import pause_queue, resume_queue
from tom_nightshift.worker import spawn
from tom_nightshift.worker.child import Shape, run_worker
from tom_nightshift.worker.supervisor import Supervisor


class Command(BaseCommand):
    """Runs background jobs until it is told to end: Ctrl-C or SIGTERM lets running jobs finish, Ctrl-C twice
    does not. With a word: does that.
    """

    help = "Run background jobs. Ctrl-C lets running jobs finish; Ctrl-C twice leaves at once."

    def add_arguments(self, parser: CommandParser) -> None:
        defaults = get_settings()
        parser.add_argument(
            "--processes",
            type=_at_least_one,
            default=defaults.processes,
            help="Worker processes to keep alive.",
        )
        parser.add_argument(
            "--threads", type=_at_least_one, default=defaults.threads, help="Jobs at a time in each process."
        )
        parser.add_argument(
            "--queues", nargs="*", default=list(defaults.queues), help="Queues to listen to; all if none."
        )
        parser.add_argument(
            "--grace", type=float, default=defaults.grace, help="Seconds for running jobs at the end."
        )
        parser.add_argument(
            "--unresponsive", type=float, default=defaults.unresponsive,
            help="Seconds without a sign of life after which a process is killed.",
        )  # fmt: skip
        parser.add_argument(
            "--max-jobs", type=int, default=defaults.max_jobs,
            help="Jobs after which a process gives way to a fresh one; 0: never.",
        )  # fmt: skip
        parser.add_argument(
            "--max-memory", type=int, default=defaults.max_memory,
            help="Bytes of memory above which a process gives way to a fresh one; 0: never.",
        )  # fmt: skip
        parser.add_argument(
            "--drain", action="store_true", help="Run what waits now, and end: for cron and one-off dynos."
        )
        words = parser.add_subparsers(title="instead of running jobs", dest="word", metavar="WORD")
        self._add_doctor(words)
        self._add_pause(words)

    def _add_doctor(self, words: Any) -> None:
        doctor = _add_word(words, "doctor", "Examine the site and say what to do; exit code 1 on a fault.")
        doctor.add_argument("--json", action="store_true", help="For machines.")
        doctor.set_defaults(do=self._doctor)

    def _add_pause(self, words: Any) -> None:
        pause = _add_word(words, "pause", "Let no job of a queue begin; running ones go on.")
        pause.add_argument("queue", help="Its name, such as default.")
        pause.set_defaults(do=self._pause)
        resume = _add_word(words, "resume", "Let the jobs of a paused queue begin again.")
        resume.add_argument("queue", help="Its name.")
        resume.set_defaults(do=self._resume)

    def execute(self, *args: Any, **options: Any) -> str | None:
        """Without a word, run the workers. A word looks by itself at what it needs."""
        if do := options.pop("do", None):
            self.handle = do  # type: ignore[method-assign]
            options["skip_checks"] = True
        return super().execute(*args, **options)

    def handle(self, *args: Any, **options: Any) -> None:
        autodiscover_modules("tasks")
        _load_urls()
        shape = Shape(**{field.name: options[field.name] for field in fields(Shape)})
        child = partial(run_worker, dramatiq.get_broker(), shape)
        if (code := spawn.live(child)) is not None:
            raise SystemExit(code)
        supervisor = Supervisor(
            options["processes"],
            child,
            grace=options["grace"],
            unresponsive=options["unresponsive"],
            drain=options["drain"],
            announce=self._announce,
        )
        self.stdout.write(
            f"Nightshift: {options['processes']} x {options['threads']} jobs at a time. Ctrl-C ends it."
        )
        raise SystemExit(supervisor.run())

    def _doctor(self, *args: Any, **options: Any) -> None:
        found = []
        for examined in examine():
            found.append(examined)
            if not options["json"]:
                self.stdout.write(report.line(examined, self._colours()))
        self.stdout.write(
            report.as_json(found) if options["json"] else report.summary(found, self._colours())
        )
        if report.has_faults(found):
            raise SystemExit(1)

    def _pause(self, *args: Any, queue: str, **options: Any) -> None:
        held = _said(pause_queue, queue, by=getpass.getuser())
        self.stdout.write(f"Queue {queue} is paused; {held} of its jobs wait. Running ones go on.")

    def _resume(self, *args: Any, queue: str, **options: Any) -> None:
        self.stdout.write(f"Queue {queue} goes on; {_said(resume_queue, queue)} of its jobs may begin.")

    def _colours(self) -> report.Style:
        return {
            Level.FINE: self.style.SUCCESS, Level.WARNING: self.style.WARNING, Level.FAULT: self.style.ERROR
        }  # fmt: skip

    def _announce(self, pid: int) -> None:
        self.stdout.write(f"Nightshift: worker process {pid} started.")
        self.stdout.flush()


def _at_least_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"it is {text!r}: it takes a whole number, at least 1")
    return int(text)


def _said(verb: Callable[..., int], *args: Any, **kwargs: Any) -> int:
    """What a verb answers; its refusal as a sentence and not as a traceback."""
    try:
        return verb(*args, **kwargs)
    except (ValueError, DatabaseError) as error:
        raise CommandError(events.first_line(error)) from error


def _load_urls() -> None:
    """Load the URLconf before forking: tasks that build addresses would load it in every process."""
    get_resolver().url_patterns  # noqa: B018 - reading it loads it


def _add_word(words: Any, name: str, help_text: str) -> Any:
    """A word of the command. Django's own options may stand behind it too; there they say nothing by
    themselves, so that what stands before it counts.
    """
    parser = words.add_parser(name, help=help_text, description=help_text)
    for option in ("--settings", "--pythonpath"):
        parser.add_argument(option, default=SUPPRESS, help=SUPPRESS)
    for option in ("--traceback", "--no-color", "--force-color", "--skip-checks"):
        parser.add_argument(option, action="store_true", default=SUPPRESS, help=SUPPRESS)
    parser.add_argument("-v", "--verbosity", type=int, default=SUPPRESS, help=SUPPRESS)
    return parser
