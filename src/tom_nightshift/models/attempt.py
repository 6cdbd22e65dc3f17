"""One row for each attempt of a job that has ended."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from tom_nightshift.models.job import Job


class Attempt(models.Model):
    """One try of a job: who ran it, when, and how it ended."""

    id = models.BigAutoField(primary_key=True)
    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="attempts")
    number = models.IntegerField()
    worker = models.CharField(max_length=120, default="", blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField()
    outcome = models.CharField(max_length=20, help_text="A final state, or retried, returned, later, lost.")
    error = models.TextField(default="", blank=True)
    traceback = models.TextField(default="", blank=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["number"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["job", "number"], name="nightshift_one_row_an_attempt"),
        ]

    def __str__(self) -> str:
        return f"attempt {self.number} of job {self.job_id}: {self.outcome}"
