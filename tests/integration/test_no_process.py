"""A supervisor that cannot fork: the job waits for a process, and is charged nothing."""

from __future__ import annotations

import os
import socket
import threading

import pytest
from dramatiq.middleware import Shutdown

from tom_nightshift.exceptions import Later
from tom_nightshift.ledger.attempt import Attempt
from tom_nightshift.worker import control
from tom_nightshift.worker.control import Control
from tom_nightshift.worker.isolation import Isolation
from tom_nightshift.worker.zygote import Zygote


def refuse(_main):
    raise BlockingIOError("Resource temporarily unavailable")


@pytest.fixture
def ends():
    """The supervisor's end of the socket, and the worker's; on the first, one that cannot fork."""
    ours, theirs = control.pair()
    ours.setblocking(True)

    def serve():
        _, descriptors, _, _ = socket.recv_fds(ours, control.LONGEST, 2)
        Zygote(refuse).start(descriptors)

    thread = threading.Thread(target=serve)
    thread.start()
    yield theirs
    thread.join(10)
    ours.close()
    theirs.close()


def test_it_is_tried_again_in_a_while(ends, caplog):
    isolation = Isolation(Control(ends, parent=os.getppid()))
    with pytest.raises(Later, match="waiting for a process of its own"):
        isolation(Attempt(1, 1, "task", "default"), (), {})
    assert "Resource temporarily unavailable" in caplog.text


def test_where_the_supervisor_is_gone_its_worker_goes_too(ends):
    isolation = Isolation(Control(ends, parent=-1))
    with pytest.raises(Shutdown):
        isolation(Attempt(1, 1, "task", "default"), (), {})
