"""A broker of the stack's make; the machine plays its workers."""

from __future__ import annotations

from tests.support.fixtures import broker, nightshift, run_folder, step_clock

__all__ = ["broker", "nightshift", "run_folder", "step_clock"]
