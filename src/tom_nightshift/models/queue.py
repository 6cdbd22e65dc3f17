"""One row for each queue that was ever paused."""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class Queue(models.Model):
    """A queue that somebody paused. One without a row is not paused."""

    id = models.BigAutoField(primary_key=True)
    name = models.CharField(max_length=100, unique=True)
    paused = models.BooleanField(default=False)
    paused_by = models.CharField(max_length=150, default="", blank=True)
    paused_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["name"]

    def __str__(self) -> str:
        return f"queue {self.name}{' (paused)' if self.paused else ''}"
