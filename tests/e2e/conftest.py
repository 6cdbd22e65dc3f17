"""A site whose processes are real, on the test's own database."""

from __future__ import annotations

from tests.support.sites import gate, run_dir, site

__all__ = ["gate", "run_dir", "site"]
