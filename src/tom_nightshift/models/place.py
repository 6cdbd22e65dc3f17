"""The place of a job in a whole: which part of a group it is, and which of several steps."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from tom_nightshift.models.job import Job


class Place(models.Model):
    """Only jobs that belong together have one. Of a part or step that was run again the newest counts."""

    job = models.OneToOneField(Job, on_delete=models.CASCADE, primary_key=True, related_name="place")
    whole = models.BigIntegerField(help_text="The first job of the whole.")
    title = models.CharField(max_length=200, default="", blank=True, help_text="What the whole is called.")
    part = models.IntegerField(default=0, help_text="From 1; 0: it is no group.")
    parts = models.IntegerField(default=0)
    step = models.IntegerField(default=0, help_text="From 1; 0: there is but one.")
    steps = models.IntegerField(default=0)
    is_last = models.BooleanField(default=False, help_text="It comes when all parts are done.")

    class Meta:
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["whole", "part", "step", "job"], name="nightshift_place_in_whole")
        ]

    def __str__(self) -> str:
        return f"part {self.part} of {self.parts}, step {self.step} of {self.steps} of job {self.whole}"
