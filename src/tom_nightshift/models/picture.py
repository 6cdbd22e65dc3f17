"""A picture that a job made, as bytes: shown on its page, behind its rights."""

from __future__ import annotations

from django.db import models

from tom_nightshift.models.job import Job


class Picture(models.Model):
    """A PNG or JPEG of at most about 2 MB."""

    id = models.BigAutoField(primary_key=True)
    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="pictures")
    caption = models.CharField(max_length=200)
    content_type = models.CharField(max_length=40)
    width = models.IntegerField(help_text="pixels")
    height = models.IntegerField(help_text="pixels")
    data = models.BinaryField()

    def __str__(self) -> str:
        return f"picture of job {self.job_id}: {self.caption}"
