"""Every operation of the review service, one method each.

Permission is checked before a session is looked up, ownership before its version, its version before its status.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from sagitta_server.auth import Permission, Principal
from sagitta_server.reviews.ai import AiProvider, EmbeddedProvider
from sagitta_server.reviews.answers import Answer, answer, resume
from sagitta_server.reviews.changes import Change, fold
from sagitta_server.reviews.dictionaries import DictionaryReader
from sagitta_server.reviews.enums import (
    ArtifactFormat,
    ArtifactType,
    ReadinessState,
    SemanticSourceType,
    SessionStatus,
    SourceKind,
)
from sagitta_server.reviews.environment import Environment
from sagitta_server.reviews.errors import ReviewError, Violation, validation_error
from sagitta_server.reviews.events import Event, StoredEvent
from sagitta_server.reviews.executions import Executions, LaunchAnswer, PreviewAnswer
from sagitta_server.reviews.exporting import Exporter
from sagitta_server.reviews.field_decisions import FieldUpdate, find_field, lock, unlock, update_field, with_field
from sagitta_server.reviews.idempotency import IdempotencyKeys, check_key
from sagitta_server.reviews.importer import Importer, source_request
from sagitta_server.reviews.launches import Launcher, with_cancel_requested
from sagitta_server.reviews.lifecycle import change_status, is_running, run_in_progress
from sagitta_server.reviews.mapping_decisions import (
    MappingUpdate,
    approve_mapping,
    find_mapping,
    update_mapping,
)
from sagitta_server.reviews.previews import Previewer
from sagitta_server.reviews.publisher import Publisher
from sagitta_server.reviews.publishing import Publication, Wish
from sagitta_server.reviews.semantic_sources import SemanticSources
from sagitta_server.reviews.settings import ReviewSettings
from sagitta_server.reviews.settle import decided_session
from sagitta_server.reviews.sourcing import SourceResolver
from sagitta_server.reviews.starting import Started, Starter, check_source, with_import
from sagitta_server.reviews.store import artifacts
from sagitta_server.reviews.store.artifacts import Artifact, Upload
from sagitta_server.reviews.store.store import Page
from sagitta_server.reviews.store.tasks import Task, TaskKind
from sagitta_server.reviews.task_runner import Perform, TaskRunner
from sagitta_server.reviews.values import Field, Finding, Review, Run
from sagitta_server.reviews.values import (
    Mapping as FilterMapping,
)
from sagitta_server.reviews.work import Effects, ReviewWork
from sagitta_server.state import Database

log = logging.getLogger("sagitta.reviews")
MAX_NOTE = 2000
_LISTED = (SessionStatus.ACTIVE, SessionStatus.PAUSED, SessionStatus.COMPLETED)


@dataclass(frozen=True, slots=True)
class AnswerOutcome:
    """A review after an answer and the findings that it settled or raised."""

    review: Review
    changed_findings: tuple[Finding, ...]


class ReviewService:
    """The review service; every method may be called from any thread."""

    def __init__(
        self,
        database: Database,
        settings: ReviewSettings,
        environments: Mapping[str, Environment],
        dictionaries: DictionaryReader,
        ai: AiProvider | None = None,
        *,
        work: ReviewWork | None = None,
        around_tasks: Callable[[Perform], Perform] = lambda perform: perform,
    ) -> None:
        self.settings = settings
        self.work = work or ReviewWork(database, settings)
        self.environments = dict(environments)
        keys = IdempotencyKeys(settings)
        resolver = SourceResolver(self.environment, dictionaries, ai or EmbeddedProvider())
        self._sources = SemanticSources(self.work, resolver)
        self._importer = Importer(self.work, self.environment, dictionaries)
        self._previewer = Previewer(self.work, self.environment)
        self._launcher = Launcher(self.work, self.environment)
        self._exporter = Exporter(self.work)
        self._publisher = Publisher(self.work, self.environment, keys)
        self._starter = Starter(self.work, self.environment, keys)
        self._executions = Executions(self.work, self._previewer, self._launcher, keys)
        self._launcher.on_finished = self._exporter.store_run_summary
        self.runner = TaskRunner(self.work, around_tasks(self._perform), self._abandon, self._tidy)

    def start(self) -> None:
        """Starts the background; unfinished tasks of earlier processes go on once their lease has run out."""
        self.runner.start()

    def stop(self) -> None:
        """Stops the background."""
        self.runner.stop()

    def environment(self, environment_id: str) -> Environment:
        """A configured environment.

        Raises:
            ReviewError: `environment_not_found`.
        """
        found = self.environments.get(environment_id)
        if found is None:
            known = ", ".join(self.environments)
            raise ReviewError(
                "environment_not_found", f"There is no environment {environment_id!r}; there are: {known}."
            )
        return found

    # Sessions

    def list_sessions(
        self,
        principal: Principal,
        status: SessionStatus | None,
        readiness: ReadinessState | None,
        page: int,
        page_size: int,
    ) -> Page:
        """One page of the caller's sessions; without `status` those that can be resumed."""
        principal.require(Permission.SESSION_READ)
        violations = [
            *([Violation("query.page", "must be at least 1")] if page < 1 else []),
            *([Violation("query.page_size", "must be between 1 and 100")] if not 1 <= page_size <= 100 else []),
        ]
        if violations:
            raise validation_error(*violations)
        self._refresh_stale(principal.user_id)
        wanted = _LISTED if status is None else (status,)
        with self.work.database.read() as connection:
            return self.work.store.page(
                connection, principal.user_id, wanted, readiness, offset=(page - 1) * page_size, limit=page_size
            )

    def start_session(
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
        return self._starter.start(principal, source_kind, source_input, environment_id, key=key, wait=wait)

    def get_session(self, principal: Principal, session_id: str) -> Review:
        """A session with everything that hangs off it."""
        return self.work.read(principal, session_id)

    def update_session(
        self, principal: Principal, session_id: str, status: SessionStatus, note: str | None, expected: int | None
    ) -> Review:
        """Changes what the owner decided about a session."""
        if note is not None and len(note) > MAX_NOTE:
            raise validation_error(Violation("body.note", f"may have {MAX_NOTE} characters"))
        cancelled: list[str] = []

        def mutation(review: Review, effects: Effects) -> Review:
            change = change_status(review, status)
            changed = change.review
            effects.note = note if changed != review or change.wants_import else None
            if change.wants_cancel and review.run is not None:
                changed = with_cancel_requested(changed, review.run)
                cancelled.append(review.run.run_context_id)
            if changed.session.status is not review.session.status and status in _ENDING:
                effects.events.append(Event(f"session.{status.value}"))
            return with_import(changed, effects) if change.wants_import else changed

        after = self.work.change(principal, session_id, expected, mutation, needs_active=False)
        for run_id in cancelled:
            self._launcher.request_cancel(run_id)
        return after

    def delete_session(self, principal: Principal, session_id: str, *, hard: bool, expected: int | None) -> None:
        """Archives a session, or removes it; audit records stay."""
        if not hard:
            self._archive(principal, session_id, expected)
            return
        principal.require(Permission.SESSION_MANAGE)
        with self.work.user_change(principal) as connection:
            review = self.work.owned(connection, principal, session_id, lock=True)
            self.work.check_version(review, expected)
            if is_running(review):
                raise run_in_progress()
            runs = self.work.store.run_ids(connection, session_id)
            self.work.store.delete(connection, session_id)
        environment = self.environments.get(review.session.environment_id)
        if environment is not None and runs:
            environment.forget_runs(runs)
        self.work.notify()

    def events(self, principal: Principal, session_id: str, after: int, limit: int) -> tuple[StoredEvent, ...]:
        """Events after a sequence number.

        Raises:
            ReviewError: the session is gone or somebody else's.
        """
        principal.require(Permission.SESSION_READ)
        with self.work.database.read() as connection:
            self.work.check_owner(connection, principal, session_id)
            return self.work.store.events(connection, session_id, after, limit)

    def diff(
        self, principal: Principal, session_id: str, older: int | None, newer: int | None
    ) -> tuple[int, int, tuple[Change, ...]]:
        """What changed in meaning between two versions."""
        principal.require(Permission.SESSION_READ)
        with self.work.database.read() as connection:
            review = self.work.owned(connection, principal, session_id)
            current = review.session.version
            first, last = older if older is not None else 0, newer if newer is not None else current
            if not 0 <= first <= last <= current:
                raise ReviewError(
                    "version_not_found", f"Versions go from 0 to {current}, the older one first.", {"current": current}
                )
            return first, last, fold(self.work.store.changes(connection, session_id, first, last))

    # Semantic review

    def apply_source(
        self, principal: Principal, session_id: str, kind: SemanticSourceType, ref: str, expected: int | None
    ) -> Review:
        """Resolves a source, records its candidates and applies what may be applied."""
        return self._sources.apply(principal, session_id, kind, ref, expected)

    def update_field(
        self, principal: Principal, session_id: str, field_id: str, update: FieldUpdate, expected: int | None
    ) -> tuple[Review, Field]:
        """A decision about a field."""
        return self._change_field(
            principal,
            session_id,
            field_id,
            expected,
            lambda review, effects: update_field(review, field_id, update, effects.context.now),
        )

    def lock_field(
        self, principal: Principal, session_id: str, field_id: str, expected: int | None
    ) -> tuple[Review, Field]:
        """Protects a field from automatic writers."""
        return self._change_field(
            principal,
            session_id,
            field_id,
            expected,
            lambda review, _: with_field(review, lock(find_field(review, field_id))),
        )

    def unlock_field(
        self, principal: Principal, session_id: str, field_id: str, expected: int | None
    ) -> tuple[Review, Field]:
        """Lets automatic writers change a field again."""
        return self._change_field(
            principal,
            session_id,
            field_id,
            expected,
            lambda review, _: with_field(review, unlock(find_field(review, field_id))),
        )

    def publish_semantics(
        self, principal: Principal, session_id: str, wish: Wish, expected: int | None, *, key: str = ""
    ) -> tuple[Review, Publication, bool]:
        """Writes accepted texts back to the dataset; the flag says that a key brought an earlier publication back."""
        principal.require(Permission.SEMANTICS_PUBLISH, Permission.SESSION_MANAGE)
        check_key(key)
        return self._publisher.publish(principal, session_id, wish, expected, key)

    def upload(self, principal: Principal, file_name: str, media_type: str, content: bytes) -> Upload:
        """Stores a dictionary for a while."""
        return self._sources.upload(principal, file_name, media_type, content)

    # Clarification

    def submit_answer(
        self, principal: Principal, session_id: str, given: Answer, expected: int | None
    ) -> AnswerOutcome:
        """Answers the current question and applies what follows."""
        before: list[Review] = []

        def mutation(review: Review, effects: Effects) -> Review:
            before.append(review)
            answered = answer(review, given, effects.context)
            if answered.is_repeat:
                return review
            changed = answered.review
            if changed.session.source_input != review.session.source_input:
                self._check_new_source(changed)
            if changed.clarification is not None:
                changed = replace(changed, clarification=replace(changed.clarification, summary_delta=answered.delta))
            return with_import(changed, effects) if answered.wants_import else changed

        after = self.work.change(principal, session_id, expected, mutation)
        known = {f.finding_id: f for f in before[0].findings}
        changed = tuple(
            f
            for f in after.findings
            if f.finding_id not in known or known[f.finding_id].resolution_state is not f.resolution_state
        )
        return AnswerOutcome(after, changed)

    def _check_new_source(self, review: Review) -> None:
        """An answer may name another link; one that cannot be understood is no answer."""
        try:
            session = review.session
            check_source(session.source_input, session.environment_id, self.settings.limits.source_bytes)
            self.environment(review.session.environment_id).check_source(source_request(review))
        except ReviewError as error:
            raise ReviewError("invalid_answer", error.message) from error

    def resume_clarification(self, principal: Principal, session_id: str, expected: int | None) -> Review:
        """Starts or resumes the conversation."""
        return self.work.change(
            principal, session_id, expected, lambda review, effects: resume(review, effects.context.now)
        )

    # Mappings

    def update_mapping(
        self, principal: Principal, session_id: str, mapping_id: str, update: MappingUpdate, expected: int | None
    ) -> tuple[Review, FilterMapping]:
        """A change of a mapping."""
        if update.note is not None and len(update.note) > MAX_NOTE:
            raise ReviewError("value_too_long", f"A note may have {MAX_NOTE} characters.")

        def mutation(review: Review, effects: Effects) -> Review:
            return update_mapping(review, mapping_id, update, principal.user_id, effects.context.now)

        after = self.work.change(principal, session_id, expected, mutation)
        return after, find_mapping(after, mapping_id)

    def approve_mapping(
        self, principal: Principal, session_id: str, mapping_id: str, note: str | None, expected: int | None
    ) -> tuple[Review, FilterMapping]:
        """Approves a mapping."""

        def mutation(review: Review, effects: Effects) -> Review:
            approved = approve_mapping(review, mapping_id, principal.user_id, effects.context.now)
            effects.note = note[:MAX_NOTE] if note and approved != review else None
            return approved

        after = self.work.change(principal, session_id, expected, mutation)
        return after, find_mapping(after, mapping_id)

    # Preview and launch

    def request_preview(
        self,
        principal: Principal,
        session_id: str,
        expected: int | None,
        *,
        key: str = "",
        force: bool = False,
        wait: bool = True,
    ) -> PreviewAnswer:
        """Compiles the dataset, or returns the preview that still holds; waits a short while."""
        return self._executions.request_preview(principal, session_id, expected, key=key, force=force, wait=wait)

    def launch(
        self, principal: Principal, session_id: str, expected: int | None, *, key: str = "", wait: bool = True
    ) -> LaunchAnswer:
        """Runs exactly the previewed text, once all gates are passed; waits a short while for its end."""
        return self._executions.launch(principal, session_id, expected, key=key, wait=wait)

    def get_run(self, principal: Principal, session_id: str, run_context_id: str) -> tuple[Review, Run]:
        """One run of a session."""
        return self._executions.get_run(principal, session_id, run_context_id)

    def cancel_run(self, principal: Principal, session_id: str, run_context_id: str) -> tuple[Review, Run]:
        """Asks a run to stop and waits a short while for it."""
        return self._executions.cancel_run(principal, session_id, run_context_id)

    # Exports

    def export(
        self, principal: Principal, session_id: str, kind: ArtifactType, form: ArtifactFormat, *, mask: bool
    ) -> tuple[Review, Artifact]:
        """An artifact of the session as it is; the same session and format give the same artifact."""
        principal.require(Permission.SESSION_READ)
        review = self.work.read(principal, session_id)
        if kind is ArtifactType.DOCUMENTATION and review.session.imported and not review.session.reviewed:
            review = self.work.shown(self._exporter.mark_reviewed(session_id) or review)
        return review, self._exporter.artifact(review, kind, form, principal.user_id, mask=mask)

    def read_artifact(self, principal: Principal, session_id: str, artifact_id: str) -> tuple[Artifact, bytes]:
        """The bytes of an artifact."""
        principal.require(Permission.SESSION_READ)
        with self.work.database.read() as connection:
            self.work.check_owner(connection, principal, session_id)
            found = artifacts.read_artifact(connection, session_id, artifact_id)
        if found is None:
            raise ReviewError("artifact_not_found", "This session has no such artifact.")
        return found

    # Inside

    def _archive(self, principal: Principal, session_id: str, expected: int | None) -> None:
        def mutation(review: Review, effects: Effects) -> Review:
            if review.session.status is SessionStatus.ARCHIVED:
                return review
            effects.events.append(Event("session.archived"))
            return change_status(review, SessionStatus.ARCHIVED).review

        self.work.change(principal, session_id, expected, mutation, needs_active=False)

    def _change_field(
        self,
        principal: Principal,
        session_id: str,
        field_id: str,
        expected: int | None,
        mutation: Callable[[Review, Effects], Review],
    ) -> tuple[Review, Field]:
        after = self.work.change(principal, session_id, expected, mutation)
        return after, find_field(after, field_id)

    def _refresh_stale(self, user_id: str) -> None:
        now = self.work.clock()
        with self.work.database.read() as connection:
            due = self.work.store.stale_sessions(connection, user_id, now)
        for session_id in due:
            with self.work.database.write() as connection:
                review = self.work.store.load(connection, session_id, lock=True)
                if review is not None:
                    self.work.store.refresh_decision(connection, decided_session(review, self.work.context()))

    def _perform(self, task: Task) -> None:
        match task.kind:
            case TaskKind.IMPORT:
                self._importer.perform(task)
            case TaskKind.PREVIEW:
                self._previewer.perform(task)
            case TaskKind.LAUNCH:
                self._launcher.perform(task)

    def _tidy(self) -> None:
        for environment in self.environments.values():
            environment.tidy()

    def _abandon(self, task: Task, reason: str) -> None:
        """Ends a task that failed again and again, so that its session does not wait for it for ever."""
        match task.kind:
            case TaskKind.IMPORT:
                self._importer.abandon(task, reason)
            case TaskKind.PREVIEW:
                self._previewer.abandon(task, reason)
            case TaskKind.LAUNCH:
                self._launcher.abandon(task, reason)


_ENDING = frozenset({SessionStatus.ARCHIVED, SessionStatus.CANCELLED})
