"""One change of a review: read, check, apply a pure function, settle, write, all in one transaction."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection

from sagitta_server.auth import Permission, Principal
from sagitta_server.observability.tracing import TRACEPARENT
from sagitta_server.reviews.enums import PreviewStatus
from sagitta_server.reviews.errors import ReviewError
from sagitta_server.reviews.events import Event
from sagitta_server.reviews.fingerprint import preview_status
from sagitta_server.reviews.lifecycle import require_active
from sagitta_server.reviews.settings import ReviewSettings
from sagitta_server.reviews.settle import Context, effective_preview, random_id, settle, with_decision
from sagitta_server.reviews.store import ReviewStore
from sagitta_server.reviews.store.rates import RateLimit
from sagitta_server.reviews.store.tasks import Task, TaskKind, enqueue, exists, finish
from sagitta_server.reviews.values import Review
from sagitta_server.state import Database

Clock = Callable[[], datetime]
log = logging.getLogger("sagitta.reviews")


def utc_now() -> datetime:
    """Now in UTC, to the millisecond: what is stored is what is shown."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


@dataclass(slots=True)
class Effects:
    """What a change wants beside the review itself; written in the same transaction."""

    connection: Connection
    context: Context
    note: str | None = None
    events: list[Event] = field(default_factory=list)
    queued: list[Task] = field(default_factory=list)
    finished_tasks: list[str] = field(default_factory=list)
    user_change: bool = True

    def enqueue(self, session_id: str, kind: TaskKind, reference: str | None = None) -> str:
        """Adds a background task and returns its id."""
        task = Task(f"task_{random_id()}", session_id, kind, reference, 0, self.context.now, TRACEPARENT.get())
        self.queued.append(task)
        return task.task_id


Mutation = Callable[[Review, Effects], Review]


class ReviewWork:
    """Reads and changes reviews; every method may be called from any thread."""

    def __init__(self, database: Database, settings: ReviewSettings, *, clock: Clock = utc_now) -> None:
        self.database = database
        self.settings = settings
        self.store = ReviewStore()
        self.clock = clock
        self._rate = RateLimit(settings.mutations_per_minute)
        self.changed = threading.Condition()
        """Notified after every commit and every finished task."""
        self.on_queued: Callable[[], None] = lambda: None

    def context(self, user_id: str = "") -> Context:
        """The context of a change that happens now."""
        return Context(
            now=self.clock(),
            user_id=user_id,
            preview_ttl=timedelta(seconds=self.settings.preview_ttl_s),
            limits=self.settings.limits,
        )

    def read(self, principal: Principal, session_id: str) -> Review:
        """The review as its owner sees it now.

        Raises:
            PermissionDeniedError, ReviewError: not allowed, unknown, or somebody else's.
        """
        principal.require(Permission.SESSION_READ)
        with self.database.read() as connection:
            review = self.owned(connection, principal, session_id)
        return self.shown(review)

    def shown(self, review: Review) -> Review:
        """The review with its preview's effective status and the decision as of now."""
        context = self.context()
        return effective_preview(with_decision(review, context), context)

    def owned(self, connection: Connection, principal: Principal, session_id: str, *, lock: bool = False) -> Review:
        """Loads a review of this owner.

        Raises:
            ReviewError: `session_not_found`, `session_forbidden`.
        """
        review = self.store.load(connection, session_id, lock=lock)
        if review is None:
            raise session_not_found()
        self._check_owner(review.session.owner_id, principal)
        return review

    def check_owner(self, connection: Connection, principal: Principal, session_id: str) -> None:
        """Raises what `owned` raises, without loading the review."""
        owner = self.store.owner(connection, session_id)
        if owner is None:
            raise session_not_found()
        self._check_owner(owner, principal)

    def _check_owner(self, owner_id: str, principal: Principal) -> None:
        if owner_id != principal.user_id:
            if self.settings.hide_foreign_sessions:
                raise session_not_found()
            raise ReviewError("session_forbidden", "This session belongs to somebody else.")

    def change(
        self,
        principal: Principal,
        session_id: str,
        expected_version: int | None,
        mutation: Mutation,
        *,
        permission: Permission = Permission.SESSION_MANAGE,
        needs_active: bool = True,
    ) -> Review:
        """Applies the owner's change and returns the review as it then is."""
        principal.require(permission)
        with self.user_change(principal) as connection:
            review = self.owned(connection, principal, session_id, lock=True)
            self.check_version(review, expected_version)
            if needs_active:
                require_active(review)
            after = self.apply(connection, review, mutation, self.context(principal.user_id), user_change=True)
        self._committed(review, after)
        return self.shown(after)

    @contextmanager
    def user_change(self, principal: Principal) -> Iterator[Connection]:
        """A transaction that counts as one change of this user.

        Raises:
            ReviewError: `rate_limited`.
        """
        with self.database.write() as connection:
            self._rate.take(connection, principal.user_id, self.clock().timestamp())
            yield connection

    def system_change(self, session_id: str, mutation: Mutation) -> Review | None:
        """Applies a background change; None when the session is gone."""
        with self.database.write() as connection:
            review = self.store.load(connection, session_id, lock=True)
            if review is None:
                return None
            after = self.apply(connection, review, mutation, self.context(), user_change=False)
        self._committed(review, after)
        return after

    def apply(
        self, connection: Connection, review: Review, mutation: Mutation, context: Context, *, user_change: bool
    ) -> Review:
        """Runs a mutation on a locked review and writes what it changed."""
        effects = Effects(connection, context, user_change=user_change)
        after = mutation(review, effects)
        if after != review:
            after = self._commit(connection, review, after, effects)
        for task in effects.queued:
            enqueue(connection, task)
        for task_id in effects.finished_tasks:
            finish(connection, task_id)
        if effects.queued:
            self.on_queued()
        return after

    def check_version(self, review: Review, expected: int | None) -> None:
        """Raises `session_version_conflict` when the caller has seen another version."""
        actual = review.session.version
        if expected is None and self.settings.require_version:
            raise ReviewError("invalid_version_header", "Say which version the change is about (If-Match).")
        if expected is not None and expected != actual:
            raise ReviewError(
                "session_version_conflict",
                f"The session has version {actual}, not {expected}; read it again.",
                {"expected": expected, "actual": actual},
            )

    def _committed(self, before: Review, after: Review) -> None:
        """Logs and tells a change that is stored."""
        version = after.session.version
        if version != before.session.version:
            log.debug("review changed", extra={"session_id": after.session_id, "session_version": version})
        self.notify()

    def notify(self) -> None:
        """Wakes everybody who waits for a change."""
        with self.changed:
            self.changed.notify_all()

    def wait(self, done: Callable[[], bool], timeout_s: float) -> bool:
        """Waits until `done`; looks again after every change here and every tenth of a second."""
        deadline = time.monotonic() + timeout_s
        while not done():
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            with self.changed:
                self.changed.wait(min(left, 0.1))
        return True

    def await_task(self, task_id: str | None, timeout_s: float) -> None:
        """Waits a short while for a background task to end."""
        if task_id is None:
            return

        def done() -> bool:
            with self.database.read() as connection:
                return not exists(connection, task_id)

        self.wait(done, timeout_s)

    def stale_at(self, review: Review, context: Context) -> datetime | None:
        """When time alone will change the effective status of the preview."""
        preview = review.preview
        if preview is None or preview.compiled_at is None:
            return None
        if preview_status(review, context.now, context.preview_ttl) is not PreviewStatus.READY:
            return None
        ends = preview.compiled_at + context.preview_ttl
        if preview.uses_relative_time:
            midnight = (preview.compiled_at + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
            ends = min(ends, midnight)
        return ends

    def _commit(self, connection: Connection, before: Review, after: Review, effects: Effects) -> Review:
        context = effects.context
        session = replace(
            after.session,
            version=before.session.version + 1,
            updated_at=context.now,
            last_activity_at=context.now,
            reviewed=after.session.reviewed or (effects.user_change and before.session.imported),
        )
        after = settle(replace(after, session=session), context)
        events = list(effects.events)
        if self._went_stale(before, after, context):
            events.append(Event("preview.stale", effective_preview(after, context).preview))
        self.store.save(
            connection,
            before,
            after,
            stale_at=self.stale_at(after, context),
            note=effects.note,
            extra=events,
            changed_by=context.user_id,
        )
        return after

    @staticmethod
    def _went_stale(before: Review, after: Review, context: Context) -> bool:
        if before.preview is None or after.preview is None:
            return False
        if before.preview.preview_id != after.preview.preview_id:
            return False
        was = preview_status(before, context.now, context.preview_ttl)
        now = preview_status(after, context.now, context.preview_ttl)
        return was is PreviewStatus.READY and now is PreviewStatus.STALE


def as_reader(principal: Principal) -> Principal:
    """The caller of a mutation reads what it changed, whether or not it may read otherwise."""
    return replace(principal, permissions=principal.permissions | {Permission.SESSION_READ.value})


def session_not_found() -> ReviewError:
    """The error for a session that does not exist, or must seem not to."""
    return ReviewError("session_not_found", "There is no such session.")
