"""A broker of the stack's make for each test; its jobs wait for a worker."""

from __future__ import annotations

from tests.support.fixtures import broker, nightshift, run, run_folder, step_clock

__all__ = ["broker", "nightshift", "run", "run_folder", "step_clock"]
