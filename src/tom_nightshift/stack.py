"""What a broker of ours is made of: its middleware, outermost first, and why in that order."""

from __future__ import annotations

import dramatiq
from dramatiq.middleware import AgeLimit, Callbacks, CurrentMessage, Middleware, Pipelines, Retries
from dramatiq.results import Results

from tom_nightshift import modes
from tom_nightshift.broker import carriers
from tom_nightshift.broker.broker import DatabaseBroker
from tom_nightshift.broker.groups import JobGroups
from tom_nightshift.broker.results import DatabaseResults
from tom_nightshift.broker.rows import RowBroker
from tom_nightshift.conf import DATABASE, get_settings
from tom_nightshift.ledger.hooks import JobHooks
from tom_nightshift.worker.connections import TaskConnections
from tom_nightshift.worker.housekeeping import Housekeeping


def middleware() -> list[Middleware]:
    """The middleware of a worker's broker. Hooks after a task run in reverse order.

    Dramatiq's TimeLimit and ShutdownNotifications are not among them: they may interrupt a thread that has
    left its task. ``worker/enforcer.py`` does their work.
    """
    return [
        JobHooks(),  # first before a task, so that all that follows is logged to its job; last after it
        Housekeeping(),  # the loops of a worker process, time limits among them
        CurrentMessage(),
        AgeLimit(),
        Callbacks(),
        Pipelines(),
        JobGroups(),
        _results(),
        Retries(max_retries=0),  # decides before JobHooks looks; a task says if it wants more attempts
        TaskConnections(),  # next to the task: its transaction is ended before anything else happens
    ]


def _results() -> Results:
    """So that a message can be asked for its result, of every task that does not say store_results=False."""
    return Results(backend=DatabaseResults(), store_results=True)  # type: ignore[no-untyped-call]


def install_broker() -> RowBroker:
    """Build the broker that the settings name and make it Dramatiq's own, before any task is declared.

    Raises:
        SettingsRefused: what it needs is not installed.
    """
    url = get_settings().broker
    broker = (
        database_broker() if url.startswith(DATABASE) else carriers.broker(url, middleware(), modes.runs_here)
    )
    dramatiq.set_broker(broker)
    return broker


def database_broker() -> DatabaseBroker:
    """The broker whose queue is the table of jobs."""
    return DatabaseBroker(middleware(), runs_here=modes.runs_here)
