"""Background tasks as rows: claimed under a lease, so that a task outlives the process that works on it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection, delete, insert, or_, select, update

from sagitta_server.reviews.store.codec import from_row, to_row
from sagitta_server.reviews.store.tables import TASKS


class TaskKind(StrEnum):
    """What a task does."""

    IMPORT = "import"
    PREVIEW = "preview"
    LAUNCH = "launch"


@dataclass(frozen=True, slots=True)
class Task:
    """A piece of background work; `reference` is the preview or run that it is about."""

    task_id: str
    session_id: str
    kind: TaskKind
    reference: str | None
    attempts: int
    created_at: datetime
    traceparent: str | None = None
    """The span of the call that asked for it, as W3C writes it; None where nothing is traced."""


def enqueue(connection: Connection, task: Task) -> None:
    """Adds a task."""
    connection.execute(insert(TASKS).values(**to_row(task), state="queued", worker=None, lease_until=None))


def claim(connection: Connection, worker: str, now: datetime, lease_until: datetime) -> Task | None:
    """Takes the oldest task that is queued or whose lease has run out; None when there is none."""
    due = or_(TASKS.c.state == "queued", TASKS.c.lease_until <= now)
    query = select(TASKS).where(due).order_by(TASKS.c.created_at, TASKS.c.task_id).limit(1)
    row = connection.execute(query.with_for_update(skip_locked=True)).mappings().one_or_none()
    if row is None:
        return None
    connection.execute(
        update(TASKS)
        .where(TASKS.c.task_id == row["task_id"])
        .values(state="running", worker=worker, lease_until=lease_until, attempts=row["attempts"] + 1)
    )
    return from_row(Task, {**row, "attempts": row["attempts"] + 1})


def renew(connection: Connection, task_id: str, worker: str, lease_until: datetime) -> bool:
    """Keeps a lease; False when the task is gone or another worker has it."""
    statement = (
        update(TASKS).where(TASKS.c.task_id == task_id, TASKS.c.worker == worker).values(lease_until=lease_until)
    )
    return connection.execute(statement).rowcount == 1


def release(connection: Connection, task_id: str, worker: str, retry_at: datetime) -> None:
    """Gives a task back, to be taken again from `retry_at` on."""
    connection.execute(
        update(TASKS).where(TASKS.c.task_id == task_id, TASKS.c.worker == worker).values(lease_until=retry_at)
    )


def finish(connection: Connection, task_id: str) -> None:
    """Removes a task; part of the transaction that stores its result."""
    connection.execute(delete(TASKS).where(TASKS.c.task_id == task_id))


def exists(connection: Connection, task_id: str) -> bool:
    """The task is queued or running."""
    return connection.execute(select(TASKS.c.task_id).where(TASKS.c.task_id == task_id)).first() is not None
