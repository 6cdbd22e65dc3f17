"""One row for each worker process: who is alive."""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class Worker(models.Model):
    """A worker process. The row goes when the process is known to have ended and its jobs were returned."""

    id = models.BigAutoField(primary_key=True)
    name = models.CharField(max_length=120, unique=True, help_text="host:pid:nonce; rows of jobs name it.")
    host = models.CharField(max_length=100)
    pid = models.IntegerField()
    threads = models.IntegerField()
    queues = models.TextField(help_text="Names of the queues it listens to, separated by spaces.")
    lock_path = models.TextField()
    lock_device = models.BigIntegerField()
    lock_inode = models.BigIntegerField()
    nonce = models.CharField(max_length=40)
    started_at = models.DateTimeField()
    beat_at = models.DateTimeField()
    leaving = models.BooleanField(
        default=False, help_text="It was told to end: what it still holds is charged to nobody."
    )

    class Meta:
        indexes: ClassVar[list[models.Index]] = [models.Index(fields=["beat_at"], name="nightshift_beat")]

    def __str__(self) -> str:
        return f"worker {self.name}"
