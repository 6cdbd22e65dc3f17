"""An interrupt reaches a thread while it is inside its task, and at no other time."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest
from dramatiq.middleware import Interrupt, Shutdown

from tom_nightshift.ledger.frame import Frame


def in_thread(fn):
    """Run in a thread; what it returned or raised."""
    came = []

    def run():
        try:
            came.append(fn())
        except BaseException as error:  # noqa: BLE001 - it is what is looked at
            came.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, came


def test_a_task_that_nobody_interrupts_leaves_no_trace_in_the_interpreter():
    """To take back what was never asked for makes CPython 3.11 look for it at every step from then on, and
    never get on where a profiler or a debugger looks, too.
    """
    program = (
        "import sys\n"
        "from tom_nightshift.ledger.frame import Frame\n"
        "frame = Frame()\n"
        "frame.enter(); frame.leave()\n"
        "sys.setprofile(lambda *seen: None)\n"
        "def grow(n): return n + 1\n"
        "print(sum(grow(n) for n in range(1000)))\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (ran.stdout, ran.stderr) == ("500500\n", "")


def test_inside_the_task_it_is_raised():
    frame, inside = Frame(), threading.Event()

    def task():
        frame.enter()
        try:
            inside.set()
            while True:
                pass
        finally:
            frame.leave()

    thread, came = in_thread(task)
    assert inside.wait(10)
    assert frame.interrupt(Shutdown)
    thread.join(10)
    assert isinstance(came[0], Shutdown)
    assert frame.interrupted
    assert not frame.entered


def test_before_and_after_it_is_refused():
    frame = Frame()
    assert not frame.interrupt(Shutdown)
    frame.enter()
    frame.leave()
    assert not frame.interrupt(Shutdown)
    assert not frame.interrupted


def test_one_that_comes_when_the_task_has_ended_is_forgotten():
    """What the task returned counts: it had done its work."""
    frame = Frame()
    frame.enter()
    late = LateLock(frame)
    frame._lock = late  # type: ignore[assignment]
    frame.leave()
    assert late.came == 1
    assert not frame.entered


class LateLock:
    """Lets an interrupt come at the moment at which the lock is taken, once."""

    def __init__(self, frame):
        self.frame, self.came = frame, 0

    def __enter__(self):
        if not self.came:
            self.came += 1
            raise Interrupt

    def __exit__(self, *_):
        pass


@pytest.mark.parametrize("round_", range(20))
def test_however_the_two_race_the_thread_outlives_it(round_):
    """A thread goes in and out as fast as it can while another interrupts it: outside nothing ever comes."""
    frame, done = Frame(), threading.Event()
    outside: list[BaseException] = []

    def tasks():
        for _ in range(300):
            try:
                frame.enter()
                try:
                    sum(range(50))
                finally:
                    frame.leave()
            except Interrupt:
                pass  # inside: as it should
            frame.leave()  # as the hook after the task does
            try:
                sum(range(50))
            except Interrupt as error:
                outside.append(error)
        done.set()

    thread, came = in_thread(tasks)
    while not done.is_set() and thread.is_alive():
        frame.interrupt(Interrupt)
    thread.join(10)
    assert came == [None]
    assert outside == []
