"""For authors of tasks: run jobs in tests.

In tests a job runs at once where it is asked for, unless the test asks otherwise::

    from tom_nightshift import testing

    with testing.waiting():
        my_task.send(1)          # stays in the queue
    assert testing.drain() == 1  # runs it
"""

from __future__ import annotations

from contextlib import AbstractContextManager

import dramatiq

from tom_nightshift import modes
from tom_nightshift.broker import inline


def waiting() -> AbstractContextManager[None]:
    """Within the block jobs wait, as they do on a site with workers."""
    return modes.use("worker")


def eager() -> AbstractContextManager[None]:
    """Within the block jobs run at once, and the TOM's own slow work goes through jobs as well."""
    return modes.use("eager")


def drain() -> int:
    """Run what waits, and what that asks for, in this thread and on its connection, without waiting for
    delays.

    Returns:
        the number of attempts made.
    """
    return inline.drain(dramatiq.get_broker())
