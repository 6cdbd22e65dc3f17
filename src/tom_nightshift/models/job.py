"""One row a job: the truth about it.

Rows are read here and written in ``ledger/``: every change of state is one guarded statement there.
"""

from __future__ import annotations

from typing import Any, ClassVar, Self

from django.conf import settings  # noqa: TID251  # the user model's name is needed while models load
from django.contrib.contenttypes.fields import GenericForeignKey
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import ObjectDoesNotExist
from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Coalesce
from django.urls import reverse

from tom_nightshift.states import ENDED_BADLY, FINAL, Hold, State


class JobQuerySet(models.QuerySet["Job"]):
    """Named reads."""

    def open(self) -> Self:
        """Jobs that are not final."""
        return self.filter(state__in=[State.WAITING, State.RUNNING])

    def ended_badly(self) -> Self:
        """Jobs that are final, and did not do what they were asked for."""
        return self.filter(state__in=ENDED_BADLY)

    def ready(self) -> Self:
        """Jobs that a worker may claim now."""
        return self.filter(state=State.WAITING, hold=Hold.NONE)

    def owned_by(self, user: Any) -> Self:
        """Jobs that this person asked for."""
        return self.filter(owner=user)

    def about(self, subject: models.Model) -> Self:
        """Jobs about this very object."""
        kind = ContentType.objects.get_for_model(subject)
        return self.filter(subject_type=kind, subject_id=subject.pk)

    def on_target(self, target_id: int) -> Self:
        """Jobs about a target, or about something that belongs to it."""
        return self.filter(target_id=target_id)

    def firsts(self) -> Self:
        """Without those that another job stands for: parts, further steps, and what a job asked for."""
        return self.filter(root=None)

    def with_company(self) -> Self:
        """With the place of each in its whole, and ``has_asked``: whether it asked for other jobs."""
        asked = Job.objects.filter(root=Coalesce(OuterRef("root"), OuterRef("pk")), parent=OuterRef("pk"))
        return self.select_related("place").annotate(has_asked=Exists(asked))

    def newest_first(self) -> Self:
        """Newest first."""
        return self.order_by("-id")

    def newest_of(self, column: str, value: Any) -> Self:
        """Newest first, of one owner or target.

        By the index that begins with that column: were this an equation, PostgreSQL would, for whom many are,
        rather go back through all jobs, and pass over any number of others'.
        """
        return self.filter(**{f"{column}__gte": value, f"{column}__lte": value}).order_by(column, "-id")


class Job(models.Model):
    """One call of a task. The token (id, attempt) names the attempt that may write to it."""

    id = models.BigAutoField(primary_key=True)
    message_id = models.UUIDField(unique=True)
    message = models.BinaryField(help_text="Dramatiq's message of the next delivery, encoded.")
    queue = models.CharField(max_length=100)
    task = models.CharField(max_length=200, help_text="The actor's name.")
    title = models.CharField(max_length=200)
    priority = models.IntegerField(default=0, help_text="Lower is sooner.")
    ord = models.BigIntegerField(default=0, help_text="Order within a priority.")
    state = models.CharField(
        max_length=10, choices=[(s.value, s.value) for s in State], default=State.WAITING.value
    )
    hold = models.CharField(max_length=10, choices=[(h.value, h.value) for h in Hold], default="", blank=True)
    run_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    attempt = models.IntegerField(default=0, help_text="The fence: one more at every claim.")
    failures = models.IntegerField(default=0)
    losses = models.IntegerField(default=0)
    snoozes = models.IntegerField(default=0)
    worker = models.CharField(max_length=120, default="", blank=True)
    stop_requested = models.BooleanField(default=False)
    stop_stage = models.SmallIntegerField(default=0)
    stop_next_at = models.DateTimeField(null=True, blank=True)
    stop_by = models.CharField(max_length=150, default="", blank=True)
    reason = models.CharField(max_length=40, default="", blank=True)
    error = models.TextField(default="", blank=True, help_text="The reason in words, for the astronomer.")
    result = models.JSONField(null=True, blank=True)
    saved = models.JSONField(
        null=True, blank=True, help_text="What the next attempt may rely on: steps that are done."
    )
    done = models.FloatField(null=True, blank=True)
    total = models.FloatField(null=True, blank=True)
    note = models.CharField(max_length=200, default="", blank=True)
    stages = models.JSONField(null=True, blank=True)
    # The database does not guard owner and subject_type: it would forbid the TOM to delete people once
    # Nightshift has been taken out. So a row may name what is gone: owner_or_none, subject_or_none bear that.
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="nightshift_jobs",
        db_index=False,
        db_constraint=False,
    )
    subject_type = models.ForeignKey(
        ContentType,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        db_index=False,
        db_constraint=False,
    )
    subject_id = models.BigIntegerField(null=True, blank=True)
    subject = GenericForeignKey("subject_type", "subject_id")
    target_id = models.BigIntegerField(null=True, blank=True)
    unique_key = models.CharField(max_length=200, default="", blank=True)
    limit_key = models.CharField(max_length=200, default="", blank=True)
    rate_key = models.CharField(max_length=200, default="", blank=True)
    parent = models.BigIntegerField(null=True, blank=True)
    root = models.BigIntegerField(null=True, blank=True)
    origin = models.BigIntegerField(null=True, blank=True, help_text="The job that this one runs again.")
    schedule_id = models.BigIntegerField(null=True, blank=True)
    tick = models.DateTimeField(null=True, blank=True)
    notify = models.CharField(max_length=40, default="", blank=True)
    created_at = models.DateTimeField()
    published_at = models.DateTimeField(null=True, blank=True)
    claimed_at = models.DateTimeField(null=True, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    carrier_epoch = models.CharField(max_length=40, default="", blank=True)

    objects: ClassVar[Any] = JobQuerySet.as_manager()

    class Meta:
        indexes: ClassVar[list[models.Index]] = [
            models.Index(
                fields=["priority", "ord", "id"],
                name="nightshift_ready",
                condition=Q(state=State.WAITING.value, hold=""),
            ),
            models.Index(
                fields=["run_at"],
                name="nightshift_due",
                condition=Q(state=State.WAITING.value, hold=Hold.UNTIL.value),
            ),
            models.Index(
                fields=["task"],
                name="nightshift_parked",
                condition=Q(state=State.WAITING.value, hold=Hold.PARKED.value),
            ),
            models.Index(
                fields=["queue"],
                name="nightshift_paused",
                condition=Q(state=State.WAITING.value, hold=Hold.PAUSED.value),
            ),
            models.Index(
                fields=["limit_key", "priority", "ord", "id"],
                name="nightshift_limit",
                condition=Q(state=State.WAITING.value, hold=Hold.LIMIT.value),
            ),
            models.Index(
                fields=["rate_key", "priority", "ord", "id"],
                name="nightshift_rate",
                condition=Q(state=State.WAITING.value, hold=Hold.RATE.value),
            ),
            models.Index(
                fields=["limit_key"],
                name="nightshift_admitted",
                condition=Q(
                    limit_key__gt="",
                    state__in=[State.WAITING.value, State.RUNNING.value],
                    hold__in=["", Hold.RATE.value],
                ),
            ),
            models.Index(
                fields=["rate_key"],
                name="nightshift_released",
                condition=Q(rate_key__gt="", state=State.WAITING.value, hold=""),
            ),
            models.Index(
                fields=["expires_at"],
                name="nightshift_expires",
                condition=Q(state=State.WAITING.value, expires_at__isnull=False),
            ),
            models.Index(
                fields=["worker"], name="nightshift_running", condition=Q(state=State.RUNNING.value)
            ),
            models.Index(
                fields=["owner", "priority", "ord"],
                name="nightshift_lane",
                condition=Q(state=State.WAITING.value),
            ),
            models.Index(fields=["owner", "-id"], name="nightshift_owner"),
            models.Index(
                fields=["owner", "-id"],
                name="nightshift_owner_open",
                condition=Q(state__in=[State.WAITING.value, State.RUNNING.value]),
            ),
            models.Index(
                fields=["-id"],
                name="nightshift_open",
                condition=Q(state__in=[State.WAITING.value, State.RUNNING.value]),
            ),
            models.Index(
                fields=["owner", "-id"],
                name="nightshift_owner_badly",
                condition=Q(state__in=[state.value for state in ENDED_BADLY]),
            ),
            models.Index(
                fields=["-id"],
                name="nightshift_badly",
                condition=Q(state__in=[state.value for state in ENDED_BADLY]),
            ),
            models.Index(
                fields=["target_id", "-id"], name="nightshift_target", condition=Q(target_id__isnull=False)
            ),
            models.Index(fields=["subject_type", "subject_id"], name="nightshift_subject"),
            models.Index(  # My jobs, which names the first of those that belong together
                fields=["owner", "-id"], name="nightshift_owner_first", condition=Q(root__isnull=True)
            ),
            models.Index(fields=["-id"], name="nightshift_first", condition=Q(root__isnull=True)),
            models.Index(fields=["root", "id"], name="nightshift_root", condition=Q(root__isnull=False)),
            models.Index(
                fields=["finished_at"], name="nightshift_finished", condition=Q(finished_at__isnull=False)
            ),
        ]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["unique_key"],
                name="nightshift_one_open_job_a_key",
                condition=Q(unique_key__gt="", state__in=[State.WAITING.value, State.RUNNING.value]),
            ),
        ]

    def __str__(self) -> str:
        return f"job {self.pk}: {self.title}"

    def get_absolute_url(self) -> str:
        """The job's page."""
        return reverse("nightshift:job", args=[self.pk])

    @property
    def owner_or_none(self) -> Any:
        """Who asked for it; None also where that person was deleted while Nightshift was taken out."""
        try:
            return self.owner
        except ObjectDoesNotExist:
            return None

    @property
    def subject_or_none(self) -> Any:
        """What it is about; None also where that, its kind of things, or the app that had them is gone."""
        try:
            return self.subject
        except (ObjectDoesNotExist, AttributeError):  # a kind of an app that was taken out has no class
            return None

    @property
    def is_final(self) -> bool:
        """Whether the row will never move again."""
        return self.state in FINAL

    @property
    def version(self) -> str:
        """Changes whenever something that the page shows of this row changes, but for the log."""
        shown = (self.state, self.hold, self.attempt, self.done, self.total, self.note, self.stop_requested,
                 self.stop_stage)  # fmt: skip
        return f"{'-'.join(str(part) for part in shown)}-{len(self.stages or [])}"
