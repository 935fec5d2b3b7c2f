"""Runs of the previewed text: what is looked at before one, what is stored when, and what the background does."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from sagitta_server.auth import Principal
from sagitta_server.reviews.enums import (
    ApprovalState,
    CandidateStatus,
    FieldProvenance,
    FindingSeverity,
    LaunchStatus,
    SessionStatus,
)
from sagitta_server.reviews.environment import (
    Environment,
    EnvironmentUnavailableError,
    LiveState,
    RunOutcome,
    RunRequest,
    RunStart,
)
from sagitta_server.reviews.errors import ReviewError
from sagitta_server.reviews.exports.masking import hidden_run
from sagitta_server.reviews.fingerprint import effective_filters, preview_status, variable_values
from sagitta_server.reviews.gates import Gate, failing, gates, is_unsettled
from sagitta_server.reviews.importer import source_request
from sagitta_server.reviews.json_text import dump, load
from sagitta_server.reviews.lifecycle import DATASET_CHANGED
from sagitta_server.reviews.metrics import LAUNCHES
from sagitta_server.reviews.previews import MAX_ERROR
from sagitta_server.reviews.run_tickets import sql_hash
from sagitta_server.reviews.settle import random_id
from sagitta_server.reviews.store.codec import to_plain
from sagitta_server.reviews.store.tasks import Task, TaskKind
from sagitta_server.reviews.values import Review, Run
from sagitta_server.reviews.work import Effects, ReviewWork, utc_now

_CANCELLED = "The run was cancelled."


@dataclass(frozen=True, slots=True)
class Looked:
    """What was learnt before a launch, for the preview that the review had then."""

    run_context_id: str
    preview_id: str | None
    live: LiveState | None = None
    start: RunStart | None = None


class Launcher:
    """Launches runs and performs launch tasks."""

    def __init__(self, work: ReviewWork, environments: Callable[[str], Environment]) -> None:
        self._work = work
        self._environments = environments
        self._running: set[str] = set()
        self._cancelled: set[str] = set()
        self._lock = threading.Lock()
        self.on_finished: Callable[[Effects, Review, Run], None] = lambda _e, _r, _n: None

    def look(self, principal: Principal, review: Review) -> Looked:
        """What has to be learnt before the launch's transaction: the live dataset, and places for the run."""
        looked = Looked(random_id(), review.preview.preview_id if review.preview else None)
        first = failing(self._gates(review))
        if first or review.dataset is None or review.preview is None:
            return looked
        environment = self._environments(review.session.environment_id)
        try:
            live = environment.live_state(source_request(review), review.dataset)
        except EnvironmentUnavailableError as error:
            raise ReviewError("superset_unreachable", error.message) from error
        looked = replace(looked, live=live)
        if live.revision != review.dataset.revision or not live.launchable:
            return looked
        request = _run_request(review, looked.run_context_id, principal.user_id)
        return replace(looked, start=environment.prepare_run(request))

    def launch(
        self, review: Review, effects: Effects, principal: Principal, looked: Looked
    ) -> tuple[Review, tuple[Gate, ...]]:
        """The review with a run started, or the gates that are not passed.

        Raises:
            ReviewError: `session_version_conflict`, the review has another preview than the one that was looked at.
        """
        start = looked.start
        if looked.live is not None:
            review = _with_live_state(review, looked.live)
        blocked = failing(self._gates(review, effects))
        if blocked:
            return review, blocked
        if start is None or review.preview is None or review.preview.preview_id != looked.preview_id:
            raise ReviewError("session_version_conflict", "The session changed meanwhile; launch again.")
        run = _new_run(review, looked.run_context_id, start, effects)
        self._audit(effects, review, run, principal, "launch.requested")
        started = replace(review, run=run)
        return (started if start.error is None else self._end(effects, started, RunOutcome(error=start.error))), ()

    def perform(self, task: Task) -> None:
        """Runs the previewed text, or adopts what an earlier attempt of this run did."""
        with self._work.database.read() as connection:
            review = self._work.store.load(connection, task.session_id)
        run = review.run if review is not None else None
        stale = run is None or run.run_context_id != task.reference or run.launch_status is not LaunchStatus.STARTED
        if review is None or run is None or stale:
            self._finish(task, None)
            return
        with self._running_here(run):
            self._finish(task, self._execute(task, review, run))

    def _execute(self, task: Task, review: Review, run: Run) -> RunOutcome:
        cancelled = self._watcher(run)
        if cancelled():
            return RunOutcome(error=_CANCELLED)
        request = _run_request(review, run.run_context_id, review.session.owner_id)
        environment = self._environments(run.environment_id)
        try:
            return environment.execute_run(request, first=task.attempts <= 1, cancelled=cancelled)
        except EnvironmentUnavailableError as error:
            return RunOutcome(error=error.message)

    @contextmanager
    def _running_here(self, run: Run) -> Iterator[None]:
        with self._lock:
            self._running.add(run.run_context_id)
        try:
            yield
        finally:
            with self._lock:
                self._running.discard(run.run_context_id)
                self._cancelled.discard(run.run_context_id)

    def abandon(self, task: Task, reason: str) -> None:
        """Ends a run whose execution failed again and again."""
        self._finish(task, RunOutcome(error=f"The run could not be carried out ({reason})."))

    def request_cancel(self, run_context_id: str) -> None:
        """Makes the run's worker stop at once if it is in this process; another one sees it in the database."""
        with self._lock:
            if run_context_id in self._running:
                self._cancelled.add(run_context_id)

    def _watcher(self, run: Run) -> Callable[[], bool]:
        """Whether the run was asked to stop: at once when asked here, within half a second when asked elsewhere."""
        looked_at = [0.0]

        def cancelled() -> bool:
            with self._lock:
                if run.run_context_id in self._cancelled:
                    return True
            if time.monotonic() - looked_at[0] < 0.5:
                return False
            looked_at[0] = time.monotonic()
            with self._work.database.read() as connection:
                row = self._work.store.run_by_id(connection, run.run_context_id)
            return row is None or row.cancel_requested

        return cancelled

    def _gates(self, review: Review, effects: Effects | None = None) -> tuple[Gate, ...]:
        context = effects.context if effects else self._work.context()
        return gates(review, preview_status(review, context.now, context.preview_ttl))

    def _finish(self, task: Task, outcome: RunOutcome | None) -> None:
        def mutation(review: Review, effects: Effects) -> Review:
            effects.finished_tasks.append(task.task_id)
            run = review.run
            if outcome is None or run is None or run.run_context_id != task.reference:
                return review
            if run.launch_status is not LaunchStatus.STARTED:  # a worker that lost its lease: the run has its end
                return review
            return self._end(effects, review, outcome)

        self._work.system_change(task.session_id, mutation)

    def _end(self, effects: Effects, review: Review, outcome: RunOutcome) -> Review:
        assert review.run is not None
        ended = _ended(review.run, outcome, effects)
        self._audit(effects, review, ended, None, "launch.finished")
        LAUNCHES.labels(ended.environment_id, ended.launch_status.value).inc()
        changed = replace(review, run=ended)
        if ended.launch_status is LaunchStatus.SUCCESS and review.session.status is SessionStatus.ACTIVE:
            changed = replace(changed, session=replace(changed.session, status=SessionStatus.COMPLETED))
        self.on_finished(effects, changed, ended)
        return changed

    def _audit(self, effects: Effects, review: Review, run: Run, principal: Principal | None, kind: str) -> None:
        self._work.store.audit(
            effects.connection,
            session_id=review.session_id,
            run_context_id=run.run_context_id,
            at=effects.context.now,
            kind=kind,
            actor=principal.user_id if principal else "system",
            token_id=principal.token_id if principal else None,
            body=audit_body(review, run, keep_values=self._work.settings.audit_keep_values),
        )


def blocked_error(blocked: tuple[Gate, ...]) -> ReviewError:
    """The answer to a launch that gates block; a single one gives its own code."""
    blockers = [{"gate": g.gate, "code": g.code, "message": g.message, "refs": list(g.refs)} for g in blocked]
    if len(blocked) == 1:
        return ReviewError(blocked[0].code, blocked[0].message, {"blockers": blockers})
    return ReviewError("launch_blocked", f"{len(blocked)} gates are not passed.", {"blockers": blockers})


def audit_body(review: Review, run: Run, *, keep_values: bool = True) -> dict[str, Any]:
    """Everything that has to be known about a run later, also when the session is gone."""
    hashes = {"sql_sha256": sql_hash(run.sql), "executed_sql_sha256": sql_hash(run.executed_sql or "")}
    if not keep_values:
        run = hidden_run(run)
    approvals = {m.mapping_id: m for m in review.mappings}
    preview = review.preview
    return {
        "environment_id": run.environment_id,
        "dataset_ref": run.dataset_ref,
        "dataset_revision": preview.revision if preview else "",
        "owner_id": review.session.owner_id,
        "preview_id": run.preview_id,
        "preview_fingerprint": preview.preview_fingerprint if preview else "",
        **hashes,
        "sql": run.sql,
        "executed_sql": run.executed_sql,
        "effective_filters": to_plain(run.effective_filters),
        "template_params": load(run.template_params),
        "approved_mappings": [
            {"mapping_id": i, "by": approvals[i].approved_by_user_id, "at": to_plain(approvals[i].approved_at)}
            for i in run.approved_mapping_ids
            if i in approvals
        ],
        "semantic_decision_refs": list(run.semantic_decision_refs),
        "open_warning_refs": list(run.open_warning_refs),
        "sql_lab_session_ref": run.sql_lab_session_ref,
        "started_at": to_plain(run.created_at),
        "finished_at": to_plain(run.finished_at),
        "launch_status": run.launch_status.value,
        "row_count": run.row_count,
        "error": run.launch_error,
    }


def _with_live_state(review: Review, live: LiveState) -> Review:
    if review.dataset is None or review.preview is None:
        return review
    if live.launchable != review.dataset.launchable:
        review = replace(review, dataset=replace(review.dataset, launchable=live.launchable))
    if review.dataset is not None and review.preview is not None and live.revision != review.dataset.revision:
        review = replace(review, preview=replace(review.preview, stale_reason=DATASET_CHANGED))
    return review


def _new_run(review: Review, run_id: str, start: RunStart, effects: Effects) -> Run:
    assert review.preview is not None
    now = effects.context.now
    expires = timedelta(seconds=start.flight_expires_s) if start.flight_expires_s is not None else None
    return Run(
        run_context_id=run_id,
        dataset_ref=review.session.dataset_ref,
        environment_id=review.session.environment_id,
        preview_id=review.preview.preview_id,
        sql_lab_session_ref=start.sql_lab_session_ref,
        redirect_url=start.redirect_url,
        created_at=now,
        task_id=effects.enqueue(review.session_id, TaskKind.LAUNCH, run_id) if start.error is None else None,
        effective_filters=effective_filters(review),
        template_params=dump({name: load(value) for name, value in variable_values(review).items()}),
        approved_mapping_ids=tuple(m.mapping_id for m in review.mappings if m.approval_state is ApprovalState.APPROVED),
        semantic_decision_refs=tuple(
            f.field_id
            for f in review.fields
            if f.provenance is FieldProvenance.MANUAL_OVERRIDE
            or any(c.status is CandidateStatus.ACCEPTED for c in f.candidates)
        ),
        open_warning_refs=tuple(
            f.finding_id for f in review.findings if f.severity is FindingSeverity.WARNING and is_unsettled(f)
        ),
        sql=review.preview.compiled_sql or "",
        flight_ticket=start.flight_ticket,
        flight_endpoints=start.flight_endpoints,
        flight_schema=start.flight_schema,
        flight_expires_at=now + expires if expires is not None else None,
    )


def _run_request(review: Review, run_id: str, owner_id: str) -> RunRequest:
    assert review.dataset is not None
    assert review.preview is not None
    run = review.run if review.run and review.run.run_context_id == run_id else None
    sql = review.preview.compiled_sql if run is None else run.sql
    return RunRequest(
        session_id=review.session_id,
        run_context_id=run_id,
        owner_id=owner_id,
        sql=sql or "",
        dialect=review.preview.dialect,
        dataset=review.dataset,
        row_limit=review.session.run_row_limit,
        redirect_url="" if run is None else run.redirect_url,
        age_s=0.0 if run is None else (utc_now() - run.created_at).total_seconds(),
    )


def _ended(run: Run, outcome: RunOutcome, effects: Effects) -> Run:
    failed = outcome.error is not None or outcome.outcome_unknown
    return replace(
        run,
        launch_status=LaunchStatus.FAILED if failed else LaunchStatus.SUCCESS,
        launch_error=None if outcome.error is None else outcome.error[:MAX_ERROR],
        executed_sql=outcome.executed_sql or (None if failed else run.sql),
        row_count=outcome.row_count,
        truncated=outcome.truncated,
        finished_at=effects.context.now,
        outcome_unknown=outcome.outcome_unknown,
        diverged=outcome.diverged,
        sql_lab_session_ref=outcome.sql_lab_session_ref or run.sql_lab_session_ref,
        redirect_url=outcome.redirect_url or run.redirect_url,
    )


def with_cancel_requested(review: Review, run: Run) -> Review:
    """The review whose run is asked to stop."""
    return replace(review, run=replace(run, cancel_requested=True))
