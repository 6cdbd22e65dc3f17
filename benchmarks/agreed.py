"""What the harness and the processes that it starts agree on."""

from __future__ import annotations

RUN_DIR = "BENCHMARK_RUN_DIR"
"""Environment variable: a folder for lock files and doorbells."""

RECORD = "BENCHMARK_RECORD"
"""Environment variable: the file into which each job writes that it starts."""

DATABASE = "BENCHMARK_DATABASE"
"""Environment variable: the address of the site's database."""

COUNTER = "BENCHMARK_STATEMENTS"
"""Environment variable: a file that grows by one byte with each statement that a process sends."""

QUIET = ("quiet-1", "quiet-2", "quiet-3", "quiet-4")
"""Queues to which nothing is sent; workers may listen to them."""
