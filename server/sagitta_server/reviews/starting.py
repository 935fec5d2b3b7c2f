"""How a review begins: its source is read without network, the session stored, the import waited for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy.exc import IntegrityError

from sagitta_server.auth import Permission, Principal
from sagitta_server.reviews.enums import SourceKind
from sagitta_server.reviews.environment import Environment, SourceRequest
from sagitta_server.reviews.errors import ReviewError, Violation, validation_error
from sagitta_server.reviews.idempotency import IdempotencyKeys, check_key, digest_of
from sagitta_server.reviews.recovery import begin_import
from sagitta_server.reviews.settle import settle
from sagitta_server.reviews.store import artifacts
from sagitta_server.reviews.store.artifacts import Replay
from sagitta_server.reviews.store.tasks import TaskKind, enqueue
from sagitta_server.reviews.values import Profile, Review, Session
from sagitta_server.reviews.work import Effects, ReviewWork, as_reader


@dataclass(frozen=True, slots=True)
class Started:
    """A started session; `replayed` when an idempotency key brought an earlier one back."""

    review: Review
    replayed: bool = False


class Starter:
    """Starts reviews."""

    def __init__(self, work: ReviewWork, environment: Callable[[str], Environment], keys: IdempotencyKeys) -> None:
        self._work = work
        self._settings = work.settings
        self._environment = environment
        self._keys = keys

    def start(
        self,
        principal: Principal,
        source_kind: SourceKind,
        source_input: str,
        environment_id: str,
        *,
        key: str = "",
        wait: bool = True,
    ) -> Started:
        """Starts a review and waits a short while for its import."""
        principal.require(Permission.SESSION_MANAGE)
        check_source(source_input, environment_id, self._settings.limits.source_bytes)
        check_key(key)
        environment = self._environment(environment_id)
        environment.check_source(SourceRequest(source_kind, source_input, principal.user_id))
        digest = digest_of(source_kind, source_input, environment_id)
        review, replayed = self._create(principal, source_kind, source_input, environment, key=key, digest=digest)
        if replayed or not wait:
            return Started(review, replayed)
        return Started(self._await_import(principal, review))

    def _create(
        self,
        principal: Principal,
        source_kind: SourceKind,
        source_input: str,
        environment: Environment,
        *,
        key: str,
        digest: str,
    ) -> tuple[Review, bool]:
        context = self._work.context(principal.user_id)
        try:
            with self._work.user_change(principal) as connection:
                effects = Effects(connection, context)
                again = self._keys.earlier(effects, principal, "start", key, digest)
                if again is not None:
                    return self._work.shown(self._work.owned(connection, principal, again)), True
                limit = self._settings.max_sessions_per_user
                if self._work.store.count_live(connection, principal.user_id) >= limit:
                    raise ReviewError(
                        "too_many_sessions", f"You have {limit} sessions; archive some before starting another."
                    )
                session = Session(
                    session_id=context.new_id(),
                    owner_id=principal.user_id,
                    environment_id=environment.environment_id,
                    source_kind=source_kind,
                    source_input=source_input,
                    created_at=context.now,
                    updated_at=context.now,
                    last_activity_at=context.now,
                    run_row_limit=environment.run_row_limit,
                )
                blank = Review(session, Profile(context.new_id(), context.now, context.now))
                review = settle(with_import(blank, effects), context)
                self._work.store.insert(connection, review)
                for task in effects.queued:
                    enqueue(connection, task)
                replay = Replay(digest, session.session_id, session.session_id, context.now)
                self._keys.remember(effects, principal, "start", key, replay)
        except IntegrityError:
            earlier = self._started_earlier(principal, key, digest)
            if earlier is None:
                raise
            return earlier, True  # the same key was faster
        self._work.on_queued()
        self._work.notify()
        return review, False

    def _started_earlier(self, principal: Principal, key: str, digest: str) -> Review | None:
        with self._work.database.read() as connection:
            again = self._keys.earlier(Effects(connection, self._work.context()), principal, "start", key, digest)
            return None if again is None else self._work.shown(self._work.owned(connection, principal, again))

    def _await_import(self, principal: Principal, review: Review) -> Review:
        """The session once its import has ended or the wait is over; dropped when its source names nothing."""
        self._work.await_task(review.session.import_task_id, self._settings.intake_wait_ms / 1000)
        after = self._work.read(as_reader(principal), review.session_id)
        missing = next((c for c in after.conditions if c.code == "SOURCE_NOT_FOUND"), None)
        if missing is not None and after.session.import_task_id is None and not after.is_resolved:
            with self._work.database.write() as connection:
                self._work.store.delete(connection, review.session_id)
                artifacts.forget_replays(connection, review.session_id)
            raise ReviewError("source_not_found", missing.message)
        return after


def check_source(source_input: str, environment_id: str, limit: int) -> None:
    """Refuses a source before anything is stored.

    Raises:
        ReviewError: `validation_error`.
    """
    violations = []
    if not source_input.strip():
        violations.append(Violation("body.source_input", "must not be empty"))
    if len(source_input.encode()) > limit:
        violations.append(Violation("body.source_input", f"may have {limit} bytes"))
    if not environment_id.strip():
        violations.append(Violation("body.environment_id", "must not be empty"))
    if violations:
        raise validation_error(*violations)


def with_import(review: Review, effects: Effects) -> Review:
    """The review with an import under way."""
    return begin_import(review, effects.enqueue(review.session_id, TaskKind.IMPORT))
