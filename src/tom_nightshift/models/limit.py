"""One row for each key of which not too many jobs may run at a time, or begin in a time."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from tom_nightshift.states import Hold


class Limit(models.Model):
    """What was last declared for a key. Who is admitted is counted from the rows of jobs."""

    id = models.BigAutoField(primary_key=True)
    kind = models.CharField(
        max_length=10,
        choices=[(h.value, h.value) for h in (Hold.LIMIT, Hold.RATE)],
        help_text="What it holds.",
    )
    key = models.CharField(max_length=200, help_text="limit_key or rate_key of its jobs.")
    template = models.CharField(max_length=200, help_text="The key as the task declares it.")
    number = models.IntegerField(help_text="Jobs at a time, or in a period.")
    period = models.FloatField(default=0, help_text="Seconds.")
    recent = models.TextField(default="[]", help_text="Of a rate: when how many began, as JSON.")
    used_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["kind", "key"], name="nightshift_one_limit_a_key"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.key}"
