"""``manage.py nightshift``: run the workers."""

from __future__ import annotations

from argparse import ArgumentTypeError
from dataclasses import fields
from typing import Any

import dramatiq
from django.core.management.base import BaseCommand, CommandParser
from django.urls import get_resolver
from django.utils.module_loading import autodiscover_modules

from tom_nightshift.conf import get_settings
from tom_nightshift.worker.child import Shape, run_worker
from tom_nightshift.worker.supervisor import Supervisor


class Command(BaseCommand):
    """Runs background jobs until it is told to end: Ctrl-C or SIGTERM lets running jobs finish, Ctrl-C twice
    does not.
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

    def handle(self, *args: Any, **options: Any) -> None:
        autodiscover_modules("tasks")
        _load_urls()
        shape = Shape(**{field.name: options[field.name] for field in fields(Shape)})
        supervisor = Supervisor(
            options["processes"],
            lambda control: run_worker(dramatiq.get_broker(), shape, control),
            grace=options["grace"],
            unresponsive=options["unresponsive"],
            drain=options["drain"],
            announce=self._announce,
        )
        self.stdout.write(
            f"Nightshift: {options['processes']} x {options['threads']} jobs at a time. Ctrl-C ends it."
        )
        raise SystemExit(supervisor.run())

    def _announce(self, pid: int) -> None:
        self.stdout.write(f"Nightshift: worker process {pid} started.")
        self.stdout.flush()


def _at_least_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"it is {text!r}: it takes a whole number, at least 1")
    return int(text)


def _load_urls() -> None:
    """Load the URLconf before forking: tasks that build addresses would load it in every process."""
    get_resolver().url_patterns  # noqa: B018 - reading it loads it
