"""A job is asked for: its row is written in the caller's own transaction, or refused with a sentence."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import dramatiq
from dramatiq import Actor, Message
from dramatiq.common import current_millis

from tom_nightshift.conf import get_settings
from tom_nightshift.exceptions import ArgumentsRefused
from tom_nightshift.ledger import asking, bell, keys, limits, retrying, storable, wholes
from tom_nightshift.ledger.arguments import bound_arguments, with_defaults
from tom_nightshift.ledger.attempt import Retry, current
from tom_nightshift.ledger.new_rows import NewRow, insert
from tom_nightshift.ledger.secrets import of_arguments
from tom_nightshift.ledger.session import callers_transaction
from tom_nightshift.ledger.wholes import PLACE, Place

ROOT = "nightshift_root"

OURS = ("owner", "subject", "origin", ROOT)
"""Options of ``send_with_options`` that go into the row and not into the message."""

GROUP_PART = "nightshift_part"
"""The option of a message that names the part of a group whose job it runs again."""

TITLE_LENGTH = 200

Asked = tuple[Message[Any], Actor[Any, Any] | None, float | None]
"""A message, its task where this process knows it, and seconds until it may begin."""


def is_retry(message: Any) -> bool:
    """Whether this is the very message that the calling thread is running."""
    attempt = current.get()
    return attempt is not None and attempt.message_id == message.message_id


def record_retry(message: Message[Any], actor: Actor[Any, Any] | None, delay: float) -> None:
    """Remember that the running attempt is to run again; its end writes that, on the same row.

    Parameters:
        delay: seconds that Dramatiq asks for; the task, or what it raised, may ask for others.
    """
    attempt = current.get()
    assert attempt is not None
    attempt.retry = Retry(message, retrying.seconds_to_wait(attempt, actor, delay))


def write_row(
    message: Message[Any], actor: Actor[Any, Any] | None, delay: float | None
) -> tuple[int, Message[Any]]:
    """Write the row of a new job in the caller's transaction, and ring for the workers when that commits.

    Parameters:
        actor: the task, where this process knows it: its arguments are then checked against its signature.
        delay: seconds until it may begin; None: at once.

    Returns:
        the row's id, and the message without the options that went into the row. A message that has a row
        already (a pipeline whose step ran twice) gets that row's id; one whose unique key an open job has
        gets the id of that row, and of its message.

    Raises:
        ArgumentsRefused: the arguments do not fit the task, cannot be stored, or are too large.
    """
    new = new_row(message, actor, delay, wholes.place_for(message, message.options.get("origin")))
    with callers_transaction(savepoint=False) as sql:
        ((job_id, message_id),) = insert(sql, [new])
    bell.ring_on_commit()
    wholes.note_first(job_id)
    return job_id, _known_as(message_id, new.message)


def write_rows(asked: Sequence[Asked]) -> tuple[list[int], list[Message[Any]]]:
    """Write the rows of many jobs in the caller's transaction, and ring once for all of them.

    Returns:
        the ids of the rows, and the messages, as of ``write_row``.

    Raises:
        ArgumentsRefused: as ``write_row``; then none of them is written.
    """
    rows = [new_row(*one, wholes.place_for(one[0], one[0].options.get("origin"))) for one in asked]
    if not rows:
        return [], []
    with callers_transaction() as sql:
        written = insert(sql, rows)
    bell.ring_on_commit()
    wholes.note_first(written[0][0])
    return (
        [job_id for job_id, _ in written],
        [_known_as(key, row.message) for row, (_, key) in zip(rows, written, strict=True)],
    )


def _known_as(message_id: str, message: Message[Any]) -> Message[Any]:
    return message if message.message_id == message_id else replace(message, message_id=message_id)


def enqueue_many(messages: Iterable[Message[Any]]) -> list[Message[Any]]:
    """Ask for many jobs at once: far quicker than one by one, and all or none.

    Parameters:
        messages: as ``task.message(…)`` and ``task.message_with_options(…)`` make them; ``owner`` and
            ``subject`` among the options mean what they do for ``send_with_options``.

    Returns:
        the messages that were sent.

    Raises:
        ArgumentsRefused: the arguments of one do not fit its task, cannot be stored, or are too large.
    """
    broker: Any = dramatiq.get_broker()
    sent: list[Message[Any]] = broker.enqueue_many(messages)
    return sent


def new_row(
    message: Message[Any], actor: Actor[Any, Any] | None, delay: float | None, place: Place | None = None
) -> NewRow:
    """The row of a new job, for ``insert``. Parameters and errors are those of ``write_row``."""
    if place is not None:
        message = place.written_into(message)
    arguments = bound_arguments(actor, message)
    wanted = {name: message.options.get(name) for name in OURS}
    # Not by message.copy(): that adds options to those that are there.
    clean = replace(message, options={k: v for k, v in message.options.items() if k not in OURS})
    falls_under = limits.of_call(actor, arguments)
    values = {
        "message": _encode(clean, arguments),
        **_values(clean, actor, arguments, wanted),
        **limits.columns(falls_under),
    }
    return NewRow(clean, values, falls_under, delay, _seconds_of_use(clean, actor), place)


def ask_again(
    broker: dramatiq.Broker,
    message: bytes,
    *,
    owner: Any,
    origin: int,
    subject: Any = None,
    root: int | None = None,
) -> Message[Any]:
    """Ask for a job once more: a new row that names the one it runs again.

    Parameters:
        message: the message of the job to be run again.
        owner: who asks now.
        origin: the row that is run again.
        subject: what that row is about, as it may have been given with the call.
        root: the first job of the whole that it is a part or step of.
    """
    once = Message.decode(message)
    kept = {
        k: v for k, v in once.options.items() if k not in ("retries", "traceback", "requeue_timestamp", "eta")
    }
    if "group_completion_uuid" in kept:
        kept.setdefault(GROUP_PART, once.message_id)
    if kept.get("pipe_target"):
        kept["pipe_target"] = _steps_anew(kept["pipe_target"])
    fresh = replace(
        once,
        message_id=str(uuid.uuid4()),
        message_timestamp=current_millis(),
        options=kept
        | {"owner": owner, "origin": origin, "subject": subject, ROOT: root if PLACE in kept else None},
    )
    return broker.enqueue(fresh)


def _steps_anew(step: Mapping[str, Any]) -> dict[str, Any]:
    """The steps that come after one that is run again: new ones, if they have rows already."""
    options = dict(step["options"])
    if options.get("pipe_target"):
        options["pipe_target"] = _steps_anew(options["pipe_target"])
    with callers_transaction() as sql:
        ran = sql.rows(
            "SELECT 1 FROM tom_nightshift_job WHERE message_id = %s", [sql.uuid(step["message_id"])]
        )
    if not ran:
        return {**step, "options": options}
    if "group_completion_uuid" in options:
        options.setdefault(GROUP_PART, step["message_id"])
    return {**step, "options": options, "message_id": str(uuid.uuid4())}


def title_of(actor: Actor[Any, Any] | None, task: str, arguments: Mapping[str, Any]) -> str:
    """The task's ``title`` with ``{argument}`` filled in; without one, its name in words."""
    template = actor.options.get("title") if actor else None
    if not template:
        return task.rsplit(".", 1)[-1].replace("_", " ").strip().capitalize()
    try:
        return str(template).format(**with_defaults(actor, arguments))
    except Exception:  # noqa: BLE001 - whatever an argument's own formatting raises: a title is not worth a job
        return str(template)


def _encode(message: Message[Any], arguments: Mapping[str, Any]) -> bytes:
    try:
        encoded = message.encode()
    except Exception:
        _name_what_does_not_serialise(message, arguments)
        raise
    limit = get_settings().argument_bytes
    if len(encoded) > limit:
        raise ArgumentsRefused(
            f"the arguments of {message.actor_name} take {len(encoded):,} bytes, more than "
            f"NIGHTSHIFT['ARGUMENT_BYTES'] = {limit:,}: pass the key of a row or the name of a file instead."
        )
    return encoded


def _name_what_does_not_serialise(message: Message[Any], arguments: Mapping[str, Any]) -> None:
    encoder = dramatiq.get_encoder()
    for name, value in {**arguments, **message.options}.items():
        try:
            encoder.encode({"value": value})
        except Exception as error:
            raise ArgumentsRefused(
                f"the argument {name!r} of {message.actor_name} is {type(value).__name__}, which cannot be "
                "stored with the job: pass what names it instead, such as its primary key or a file name."
            ) from error


def _values(
    message: Message[Any],
    actor: Actor[Any, Any] | None,
    arguments: Mapping[str, Any],
    wanted: Mapping[str, Any],
) -> dict[str, Any]:
    subject = asking.subject_of(wanted["subject"], arguments)
    parent = current.get()
    title = message.options.get("title") or title_of(actor, message.actor_name, arguments)
    secrets = of_arguments(with_defaults(actor, arguments))
    return {
        "queue": message.queue_name,
        "task": message.actor_name,
        # A title given at the call wins; it stays in the message, so that Run again has it too.
        "title": storable.text(secrets.mask(title), TITLE_LENGTH),
        "priority": actor.priority if actor else 0,
        "owner_id": asking.owner_id(wanted["owner"]),
        "subject_type_id": subject.type_id,
        "subject_id": subject.key,
        "target_id": subject.target_id,
        "parent": parent.job_id if parent else None,
        "root": parent.root if parent else wanted[ROOT] or wholes.root_of_gathering(),
        "origin": wanted["origin"],
        "unique_key": keys.unique_key(actor, arguments),
    }


def _seconds_of_use(message: Message[Any], actor: Actor[Any, Any] | None) -> float | None:
    """Seconds from now after which Dramatiq's AgeLimit takes the message for too old; None: never."""
    max_age = message.options.get("max_age") or (actor.options.get("max_age") if actor else None)
    if not isinstance(max_age, int | float):
        return None
    return (message.message_timestamp + max_age - current_millis()) / 1000
