"""What a job said while it ran, in pieces as they were written."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from tom_nightshift.models.job import Job


class Log(models.Model):
    """A piece of the log of one attempt: whole lines, in order of ``seq``."""

    id = models.BigAutoField(primary_key=True)
    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="logs")
    attempt = models.IntegerField()
    seq = models.IntegerField()
    text = models.TextField()

    class Meta:
        ordering: ClassVar[list[str]] = ["attempt", "seq"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["job", "attempt", "seq"], name="nightshift_one_row_a_piece"),
        ]

    def __str__(self) -> str:
        return f"log of job {self.job_id}, attempt {self.attempt}, piece {self.seq}"
