"""What the jobs are about."""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class Star(models.Model):
    """A row of the site's own, as a target is one of a TOM's."""

    id = models.BigAutoField(primary_key=True)
    name = models.CharField(max_length=50)
    visits = models.IntegerField(default=0)
    note = models.TextField(default="", blank=True)

    objects: ClassVar[models.Manager[Star]] = models.Manager()

    def __str__(self) -> str:
        return self.name
