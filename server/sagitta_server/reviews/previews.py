"""The compiled SQL: asked for, made in the background, kept with what it was made of."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import assert_never

from sagitta_server.reviews.enums import MappingStatus, PreviewStatus
from sagitta_server.reviews.environment import (
    CompilationError,
    Compiled,
    CompileRequest,
    Environment,
    EnvironmentUnavailableError,
)
from sagitta_server.reviews.errors import ReviewError
from sagitta_server.reviews.fingerprint import (
    effective_filters,
    fingerprint,
    preview_status,
    uses_relative_time,
    variable_values,
)
from sagitta_server.reviews.gates import missing_required
from sagitta_server.reviews.lifecycle import require_dataset
from sagitta_server.reviews.metrics import PREVIEWS
from sagitta_server.reviews.recovery import with_conditions, without_conditions
from sagitta_server.reviews.sql_safety import is_read_only, is_unrendered
from sagitta_server.reviews.store.tasks import Task, TaskKind
from sagitta_server.reviews.values import Preview, Review
from sagitta_server.reviews.work import Effects, ReviewWork

MAX_ERROR = 4000
PREVIEW_CONDITIONS = frozenset({"TEMPLATE_PROCESSING_DISABLED"})
"""What a failed compilation says about its environment; the next one says it again or not."""


@dataclass(frozen=True, slots=True)
class _Made:
    """What was compiled, and the review as it was then."""

    review: Review
    compiled: Compiled


class Previewer:
    """Asks for previews and performs preview tasks."""

    def __init__(self, work: ReviewWork, environments: Callable[[str], Environment]) -> None:
        self._work = work
        self._environments = environments

    def request(self, review: Review, effects: Effects, *, force: bool) -> Review:
        """The review with a preview under way, or unchanged when an equal one exists or is being made.

        Raises:
            ReviewError: the execution context is incomplete.
        """
        _require_complete(review)
        wanted = fingerprint(review)
        context = effects.context
        preview = review.preview
        if preview is not None and preview.preview_fingerprint == wanted:
            status = preview_status(review, context.now, context.preview_ttl)
            if status is PreviewStatus.PENDING or (status is PreviewStatus.READY and not force):
                return review
        preview_id = context.new_id()
        kind = self._environments(review.session.environment_id).kind
        pending = Preview(
            preview_id=preview_id,
            preview_status=PreviewStatus.PENDING,
            preview_fingerprint=wanted,
            created_at=context.now,
            task_id=effects.enqueue(review.session_id, TaskKind.PREVIEW, preview_id),
            revision=review.dataset.revision if review.dataset else "",
            uses_relative_time=uses_relative_time(review),
            compiler_kind=kind,
            strategy="local" if kind == "local" else "",
        )
        return replace(review, preview=pending)

    def perform(self, task: Task) -> None:
        """Compiles; the result belongs to the preview that the task was made for, also when a newer one exists."""
        with self._work.database.read() as connection:
            review = self._work.store.load(connection, task.session_id)
        if review is None or review.preview is None or review.preview.preview_id != task.reference:
            self._finish(task, None)
            return
        started = time.monotonic()
        outcome = self._attempt(review)
        seconds = time.monotonic() - started
        if isinstance(outcome, CompilationError):
            PREVIEWS.labels("none", "failed").observe(seconds)
        else:
            PREVIEWS.labels(outcome.compiled.strategy, "ready").observe(seconds)
        self._finish(task, outcome)

    def _attempt(self, review: Review) -> _Made | CompilationError:
        try:
            return _Made(review, self._compile(review))
        except CompilationError as error:
            return error
        except EnvironmentUnavailableError as error:
            return CompilationError(error.code.lower(), error.message)

    def abandon(self, task: Task, reason: str) -> None:
        """Fails a preview whose compilation failed again and again."""
        self._finish(task, CompilationError("internal_error", f"The SQL could not be compiled ({reason})."))

    def _compile(self, review: Review) -> Compiled:
        assert review.dataset is not None
        environment = self._environments(review.session.environment_id)
        compiled = environment.compile(
            CompileRequest(
                dataset=review.dataset,
                values=dict(variable_values(review)),
                filters=effective_filters(review),
                time_column=review.session.main_time_column or review.dataset.main_time_column,
                row_limit=review.session.run_row_limit,
                user_id=review.session.owner_id,
            )
        )
        _check_text(compiled, self._work.settings.limits.preview_bytes)
        return compiled

    def _finish(self, task: Task, outcome: _Made | CompilationError | None) -> None:
        def mutation(review: Review, effects: Effects) -> Review:
            effects.finished_tasks.append(task.task_id)
            preview = review.preview
            if preview is None or preview.preview_id != task.reference:
                return review
            seen = without_conditions(review, *PREVIEW_CONDITIONS)
            match outcome:
                case None:
                    return review
                case _Made():
                    return replace(seen, preview=_ready(preview, outcome, effects))
                case CompilationError():
                    return with_conditions(replace(seen, preview=_failed(preview, outcome)), outcome.conditions)
                case _:
                    assert_never(outcome)

        self._work.system_change(task.session_id, mutation)


def _require_complete(review: Review) -> None:
    require_dataset(review)
    broken = [c for c in review.conditions if c.code == "TEMPLATE_SYNTAX_ERROR"]
    missing = missing_required(review)
    invalid = tuple(v.variable_id for v in review.variables if v.mapping_status is MappingStatus.INVALID)
    if broken:
        raise _incomplete("template_invalid", broken[0].message, ())
    if invalid:
        refs = tuple(m.mapping_id for m in review.mappings if m.is_invalid)
        raise _incomplete("mapping_invalid", "A value does not fit its variable; change it first.", refs)
    if missing:
        names = [v.variable_name for v in review.variables if v.variable_id in missing]
        raise _incomplete("required_values_missing", f"Give a value first: {', '.join(names)}.", missing)


def _incomplete(code: str, message: str, refs: tuple[str, ...]) -> ReviewError:
    gate = {"required_values_missing": "G4", "mapping_invalid": "G5"}.get(code, "G3")
    return ReviewError(
        code, message, {"blockers": [{"gate": gate, "code": code, "message": message, "refs": list(refs)}]}
    )


def _check_text(compiled: Compiled, limit: int) -> None:
    if not compiled.sql.strip():
        raise CompilationError("empty_compilation", "The environment compiled the dataset to nothing.")
    if len(compiled.sql.encode()) > limit:
        raise CompilationError("compilation_failed", f"The compiled text is larger than {limit} bytes.")
    if is_unrendered(compiled.sql):
        raise CompilationError("unresolved_template", "The compiled text still holds template marks.")
    if not is_read_only(compiled.sql, compiled.dialect):
        raise CompilationError("not_read_only", "The compiled text is not one read-only statement.")


def _failed(preview: Preview, error: CompilationError) -> Preview:
    return replace(
        preview,
        preview_status=PreviewStatus.FAILED,
        error_code=error.code,
        error_details=error.message[:MAX_ERROR],
    )


def _ready(preview: Preview, made: _Made, effects: Effects) -> Preview:
    """The fingerprint is that of what was compiled: the review may have changed since the preview was asked for."""
    compiled, review = made.compiled, made.review
    return replace(
        preview,
        preview_fingerprint=fingerprint(review),
        revision=review.dataset.revision if review.dataset else "",
        uses_relative_time=uses_relative_time(review),
        preview_status=PreviewStatus.READY,
        compiled_sql=compiled.sql,
        dialect=compiled.dialect,
        compiled_at=effects.context.now,
        compiler_kind=compiled.kind,
        strategy=compiled.strategy,
        executed_rows=compiled.executed_rows,
        warnings=compiled.warnings,
    )
