"""What a process that was forked by the supervisor does first, and how its end reads."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def settle(on_orphaned: signal.Signals) -> None:
    """Forget the supervisor's handling of signals.

    Parameters:
        on_orphaned: what the kernel sends this process when the supervisor dies (Linux).
    """
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    # Ctrl-C reaches the whole terminal; only the supervisor decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, on_orphaned)


def in_words(status: int) -> str:
    """How a process ended."""
    if os.WIFSIGNALED(status):
        return f"was killed ({signal.Signals(os.WTERMSIG(status)).name})"
    return f"ended with exit code {os.WEXITSTATUS(status)}"
