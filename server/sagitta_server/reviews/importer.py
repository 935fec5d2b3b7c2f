"""The import task: each step commits on its own, so that a failing step never undoes an earlier one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from sagitta_server.reviews.candidates import Content
from sagitta_server.reviews.dictionaries import DictionaryReader
from sagitta_server.reviews.enums import SemanticSourceStatus, SemanticSourceType, SessionStatus, TrustLevel
from sagitta_server.reviews.environment import (
    Environment,
    EnvironmentUnavailableError,
    OfferedSource,
    SourceRequest,
)
from sagitta_server.reviews.errors import ReviewError
from sagitta_server.reviews.events import Event, RecoveryStep
from sagitta_server.reviews.metrics import IMPORTS
from sagitta_server.reviews.names import norm, schema_overlap
from sagitta_server.reviews.recovery import (
    STEPS,
    end_import,
    with_conditions,
    with_dataset,
    with_filters,
    with_identity,
    with_offers,
    with_variables,
)
from sagitta_server.reviews.semantics import apply_to_review
from sagitta_server.reviews.settle import Context
from sagitta_server.reviews.store.tasks import Task
from sagitta_server.reviews.values import Condition, Dataset, Review
from sagitta_server.reviews.work import Effects, ReviewWork

Step = Callable[[Review, Context], Review]


class _StoppedError(Exception):
    """The session was paused, ended or removed; the import ends here."""


class Importer:
    """Performs import tasks."""

    def __init__(
        self, work: ReviewWork, environments: Callable[[str], Environment], dictionaries: DictionaryReader
    ) -> None:
        self._work = work
        self._environments = environments
        self._dictionaries = dictionaries

    def perform(self, task: Task) -> None:
        """Runs all steps; running them again after a crash finds the same and changes nothing twice."""
        with self._work.database.read() as connection:
            review = self._work.store.load(connection, task.session_id)
        if review is None or review.session.import_task_id != task.task_id:
            self._finish(task, lambda r, _: r)
            return
        try:
            with IMPORTS.labels(review.session.environment_id).time():
                self._steps(task, review)
        except _StoppedError:
            self._finish(task, _interrupted)
        except EnvironmentUnavailableError as error:
            condition = Condition(error.code, error.message, "link")
            self._finish(task, lambda r, _: end_import(with_conditions(r, [condition])))

    def abandon(self, task: Task, reason: str) -> None:
        """Ends an import that failed again and again; what it found so far stays."""
        condition = Condition("ENVIRONMENT_FAILED", f"The import could not be carried out ({reason}).", "link")
        self._finish(task, lambda r, _: end_import(with_conditions(r, [condition])))

    def _steps(self, task: Task, review: Review) -> None:
        environment = self._environments(review.session.environment_id)
        request = source_request(review)
        found = environment.identify(request)
        self._commit(task, "identify", lambda r, _: with_identity(r, found))
        if found.dataset_key is None:
            self._finish(task, lambda r, _: end_import(r))
            return
        self._commit(task, "dataset", lambda r, _: r)
        dataset = environment.describe(request, found.dataset_key)
        self._commit(task, "detail", lambda r, c: with_dataset(r, dataset, c))
        recovered = environment.filters(request, dataset)
        self._commit(
            task, "filters", lambda r, c: with_conditions(with_filters(r, recovered.filters, c), recovered.conditions)
        )
        self._commit(task, "variables", with_variables)
        offered = (*self._offered_dictionaries(dataset), *environment.offered_sources(request, dataset), _AI)
        self._commit(task, "sources", lambda r, c: with_offers(r, offered, c))
        contents = self._dictionary_contents(dataset)
        self._commit(task, "semantics", lambda r, c: _with_dictionaries(r, contents, c))
        for step in STEPS[7:9]:
            self._commit(task, step, lambda r, _: r)
        self._finish(task, lambda r, _: end_import(r), step="summary")

    def _offered_dictionaries(self, dataset: Dataset) -> tuple[OfferedSource, ...]:
        return tuple(
            OfferedSource(
                SemanticSourceType.CONNECTED_DICTIONARY, name, self._dictionaries.display_name(name), TrustLevel.TRUSTED
            )
            for name in self._dictionaries.names
        )

    def _dictionary_contents(self, dataset: Dataset) -> dict[str, tuple[Content, float] | Condition]:
        contents: dict[str, tuple[Content, float] | Condition] = {}
        columns = frozenset(norm(c.name) for c in dataset.columns)
        for name in self._dictionaries.names:
            try:
                read = self._dictionaries.connected(name)
            except ReviewError as error:
                contents[name] = Condition("SEMANTIC_SOURCE_FAILED", error.message, f"dictionary:{name}")
                continue
            described = frozenset(norm(e.field_name) for e in read.entries)
            contents[name] = (Content(read.source, read.entries, read.rejected), schema_overlap(columns, described))
        return contents

    def _commit(self, task: Task, step: str, change: Step) -> None:
        """Commits one step with its event; stops when the session wants no import any more."""
        number = STEPS.index(step) + 1

        def mutation(review: Review, effects: Effects) -> Review:
            if review.session.status is not SessionStatus.ACTIVE or review.session.import_task_id != task.task_id:
                raise _StoppedError
            effects.events.append(Event("recovery.step", RecoveryStep(step, number, len(STEPS))))
            changed = change(review, effects.context)
            if changed == review:  # the event needs a version of its own to be seen
                changed = replace(review, session=replace(review.session, updated_at=effects.context.now))
            return changed

        if self._work.system_change(task.session_id, mutation) is None:
            raise _StoppedError

    def _finish(self, task: Task, change: Step, step: str | None = None) -> None:
        def mutation(review: Review, effects: Effects) -> Review:
            effects.finished_tasks.append(task.task_id)
            if review.session.import_task_id != task.task_id:
                return review
            if step is not None:
                effects.events.append(Event("recovery.step", RecoveryStep(step, STEPS.index(step) + 1, len(STEPS))))
            return change(review, effects.context)

        self._work.system_change(task.session_id, mutation)


_AI = OfferedSource(SemanticSourceType.AI_GENERATED, "default", "Generated drafts", TrustLevel.GENERATED)


def source_request(review: Review) -> SourceRequest:
    """What an environment is asked about a review's source."""
    session = review.session
    return SourceRequest(session.source_kind, session.source_input, session.owner_id, session.chosen_dataset)


def _with_dictionaries(
    review: Review, contents: dict[str, tuple[Content, float] | Condition], context: Context
) -> Review:
    for source in review.sources:
        if source.source_type is not SemanticSourceType.CONNECTED_DICTIONARY:
            continue
        read = contents.get(source.source_ref)
        if isinstance(read, Condition):
            review = with_conditions(review, [read])
        elif read is not None:
            content, overlap = read
            named = replace(source, schema_overlap_score=overlap, status=SemanticSourceStatus.SELECTED)
            review = apply_to_review(review, replace(content, source=named), context)
    return review


def _interrupted(review: Review, _: Context) -> Review:
    return replace(review, session=replace(review.session, import_task_id=None, imported=False))
