"""A number by its name, for a time: what rate limiters, barriers and groups count with."""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class Value(models.Model):
    """A number that all processes share. Past its time it counts as not there."""

    key = models.CharField(max_length=300, primary_key=True)
    value = models.BigIntegerField()
    expires_at = models.DateTimeField()

    class Meta:
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["expires_at"], name="nightshift_value_expires")
        ]

    def __str__(self) -> str:
        return f"{self.key} = {self.value}"
