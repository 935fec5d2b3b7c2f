"""Which findings a review deserves, and how they live on from one change to the next.

A finding is identified by its code and what caused it: raised once, updated in place, resolved when its condition is
gone, reopened when it returns. What the owner decided about it stays until its cause changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from sagitta_server.reviews.catalogue import CATALOGUE
from sagitta_server.reviews.enums import (
    ApprovalState,
    BusinessSummarySource,
    FieldKind,
    FieldProvenance,
    FilterRecoveryStatus,
    FindingSeverity,
    LaunchStatus,
    PreviewStatus,
    QuestionState,
    ResolutionState,
    VariableKind,
)
from sagitta_server.reviews.gates import missing_required
from sagitta_server.reviews.json_text import NULL
from sagitta_server.reviews.lifecycle import DATASET_CHANGED
from sagitta_server.reviews.mappings import ambiguities, is_relative_time, is_unsafe, usable_value
from sagitta_server.reviews.values import Field, Filter, Finding, Review, Variable

CLEARED = "condition cleared"
_SEVERITY_ORDER = {severity: position for position, severity in enumerate(FindingSeverity)}
_REOPENED_ALWAYS = frozenset({"MAPPING_APPROVAL_REQUIRED"})


@dataclass(frozen=True, slots=True)
class Wanted:
    """A finding that the facts ask for."""

    code: str
    message: str
    ref: str | None = None
    severity: FindingSeverity | None = None
    """Only for the codes whose severity depends on the case."""
    cause: str = ""


def reconcile(
    existing: tuple[Finding, ...], wanted: Iterable[Wanted], now: datetime, new_id: Callable[[], str]
) -> tuple[Finding, ...]:
    """The findings after a change: raised, updated, reopened or resolved."""
    asked = {(w.code, w.ref): w for w in wanted}
    kept = tuple(_update(f, asked.pop((f.code, f.caused_by_ref), None), now) for f in existing)
    return (*kept, *(_raise(w, now, new_id()) for w in asked.values()))


def ordered(findings: Iterable[Finding], unsettled: Callable[[Finding], bool]) -> tuple[Finding, ...]:
    """Unsettled first, then the worst, then the oldest."""
    return tuple(
        sorted(findings, key=lambda f: (not unsettled(f), _SEVERITY_ORDER[f.severity], f.created_at, f.finding_id))
    )


def wanted_findings(review: Review, status: PreviewStatus | None) -> tuple[Wanted, ...]:
    """Everything that the facts ask for, apart from what depends on questions."""
    return (
        *(Wanted(c.code, c.message, c.ref, cause=c.cause) for c in review.conditions),
        *_about_profile(review),
        *_about_filters(review),
        *_about_mappings(review),
        *_about_fields(review),
        *_about_preview(review, status),
        *_about_run(review),
    )


def question_findings(review: Review) -> tuple[Wanted, ...]:
    """Findings about the questions themselves."""
    open_ones = [q for q in review.questions if q.state is QuestionState.OPEN]
    if not open_ones:
        return ()
    blocking = any(q.blocking for q in open_ones)
    noun = "question is" if len(open_ones) == 1 else "questions are"
    return (
        Wanted(
            "CLARIFICATION_PENDING",
            f"{len(open_ones)} {noun} open. Start the clarification to answer them one by one.",
            severity=FindingSeverity.WARNING if blocking else None,
        ),
    )


def _update(finding: Finding, wanted: Wanted | None, now: datetime) -> Finding:
    if wanted is None:
        return _clear(finding, now)
    severity = wanted.severity or CATALOGUE[wanted.code].severity
    updated = replace(finding, message=wanted.message, severity=severity, cause=wanted.cause)
    settled = finding.resolution_state in {ResolutionState.RESOLVED, ResolutionState.APPROVED}
    decided = finding.resolution_state in {
        ResolutionState.APPROVED,
        ResolutionState.SKIPPED,
        ResolutionState.EXPERT_REVIEW,
        ResolutionState.DEFERRED,
    }
    keeps = decided and finding.cause == wanted.cause and not (settled and wanted.code in _REOPENED_ALWAYS)
    if keeps or finding.resolution_state is ResolutionState.OPEN:
        return updated
    return replace(updated, resolution_state=ResolutionState.OPEN, resolution_note=None, resolved_at=None)


def _clear(finding: Finding, now: datetime) -> Finding:
    if finding.resolution_state in {ResolutionState.RESOLVED, ResolutionState.APPROVED}:
        return finding
    if finding.code == "EXPERT_REVIEW_REQUESTED":
        return finding
    return replace(
        finding,
        resolution_state=ResolutionState.RESOLVED,
        resolution_note=finding.resolution_note or CLEARED,
        resolved_at=now,
    )


def _raise(wanted: Wanted, now: datetime, finding_id: str) -> Finding:
    kind = CATALOGUE[wanted.code]
    return Finding(
        finding_id=finding_id,
        area=kind.area,
        severity=wanted.severity or kind.severity,
        code=wanted.code,
        title=kind.title,
        message=wanted.message,
        caused_by_ref=wanted.ref,
        cause=wanted.cause,
        created_at=now,
    )


def _about_profile(review: Review) -> Iterator[Wanted]:
    dataset = review.dataset
    if dataset is None:
        return
    if not dataset.columns and not dataset.metrics and not dataset.ref.startswith("sqllab:"):
        yield Wanted("DATASET_EMPTY_SCHEMA", f"{dataset.name} has no columns. Add some and import it again.", "dataset")
    if dataset.certified is False:
        yield Wanted("DATASET_NOT_CERTIFIED", f"Nobody has certified {dataset.name}.", "dataset")
    written = {BusinessSummarySource.CONFIRMED, BusinessSummarySource.MANUAL_OVERRIDE}
    if not dataset.description and review.profile.business_summary_source not in written:
        yield Wanted(
            "DATASET_DESCRIPTION_MISSING",
            f"{dataset.name} has no description; its summary is made from its structure. Confirm or write one.",
            "dataset",
        )
    if not dataset.launchable:
        yield Wanted(
            "DATABASE_NOT_LAUNCHABLE",
            f"Queries cannot be run on the database of {dataset.name}. Ask its administrator to allow it.",
            "dataset",
        )


def _about_filters(review: Review) -> Iterator[Wanted]:
    known = {c.name for c in review.dataset.columns} if review.dataset else set()
    read = {v.variable_name for v in review.variables} | {m.filter_id for m in review.mappings}
    for item in review.filters:
        ref, name = f"filter:{item.filter_id}", item.display_name or item.filter_name
        if not item.dataset_scope:
            yield Wanted("FILTER_OUT_OF_SCOPE", f"{name} does not apply to this dataset and is left out.", ref)
            continue
        if item.requires_confirmation:
            yield Wanted("FILTER_NEEDS_CONFIRMATION", f"Check the value of {name}: {item.notes or 'uncertain'}.", ref)
        if item.operator == "SQL":
            yield Wanted("FILTER_SQL_EXPRESSION", f"{name} is an SQL expression and is used as it stands.", ref)
        if item.operator == "TEMPORAL_RANGE" and is_relative_time(item.normalized_value):
            yield Wanted("RELATIVE_TIME_RANGE", f"The boundaries of {name} depend on the day of the run.", ref)
        if item.recovery_status is FilterRecoveryStatus.CONFLICTED:
            yield Wanted(
                "FILTER_VALUE_CONFLICT",
                f"The source gives two values for {name}. Choose one.",
                f"filter-conflict:{item.column_name or item.filter_name}",
            )
        importing = review.session.import_task_id is not None  # variables may still be found
        if review.dataset is not None and not importing and _names_nothing(item, known, read):
            yield Wanted(
                "FILTER_COLUMN_UNKNOWN",
                f"{name} is neither a column of this dataset nor read by its template, so it has no effect.",
                ref,
            )


def _names_nothing(item: Filter, known: set[str], read: set[str]) -> bool:
    if item.is_placeholder or item.filter_id in read or not item.removable:
        return False
    if item.operator in {"SQL", "TEMPORAL_RANGE"}:
        return False
    name = item.column_name or item.filter_name
    return name not in known and name not in read


def _about_mappings(review: Review) -> Iterator[Wanted]:
    by_variable = {m.variable_id: m for m in review.mappings}
    variables = {v.variable_id: v for v in review.variables}
    missing = set(missing_required(review))
    for variable in review.variables:
        mapping = by_variable.get(variable.variable_id)
        if variable.variable_id in missing and not (mapping is not None and mapping.is_invalid):
            yield Wanted(
                "REQUIRED_VALUE_MISSING",
                f"{variable.variable_name} has no value and no default. Give it one on its mapping.",
                f"variable:{variable.variable_id}",
            )
        if is_unsafe(variable, usable_value(mapping, variable)):
            yield Wanted(
                "UNSAFE_TEMPLATE_VALUE",
                f"The value of {variable.variable_name} holds quotes or template marks and is pasted as it stands.",
                f"variable:{variable.variable_id}",
                cause=mapping.effective_value if mapping else "",
            )
    for found in ambiguities(review):
        variable = variables[found.variable_id]
        yield Wanted(
            "MAPPING_AMBIGUOUS",
            f"{len(found.filter_ids)} filters fit {variable.variable_name} equally well. Choose one.",
            f"variable:{variable.variable_id}",
            severity=FindingSeverity.BLOCKING if variable.is_required else None,
        )
    for mapping in review.mappings:
        name, ref = variables[mapping.variable_id].variable_name, f"mapping:{mapping.mapping_id}"
        if mapping.is_invalid:
            yield Wanted("MAPPING_INVALID", f"The value for {name} does not fit: {mapping.transformation_note}.", ref)
        if mapping.approval_state is ApprovalState.PENDING:
            yield Wanted(
                "MAPPING_APPROVAL_REQUIRED",
                f"Approve how {name} gets its value ({mapping.transformation_note}), or change it.",
                ref,
                cause=f"{mapping.mapping_method}:{mapping.effective_value}",
            )
    if needs_time_column(review):
        required = any(v.is_required and v.variable_kind is VariableKind.DERIVED for v in review.variables)
        yield Wanted(
            "MAIN_TIME_COLUMN_UNKNOWN",
            "A time range is given, but the dataset names no main time column. Choose one.",
            "dataset",
            severity=FindingSeverity.BLOCKING if required else None,
        )


def needs_time_column(review: Review) -> bool:
    """A time range exists and it is not known which column it means."""
    dataset = review.dataset
    if dataset is None or dataset.main_time_column or review.session.main_time_column:
        return False
    ranges = any(f.operator == "TEMPORAL_RANGE" and f.column_name is None and f.dataset_scope for f in review.filters)
    return ranges and len(dataset.temporal_columns) > 1


def has_meaning(item: Field) -> bool:
    """The field has a label or a description."""
    return bool(item.verbose_name or item.description)


def _about_fields(review: Review) -> Iterator[Wanted]:
    reviewed = [f for f in review.fields if f.field_kind in {FieldKind.COLUMN, FieldKind.METRIC}]
    unresolved = [f for f in reviewed if f.provenance is FieldProvenance.UNRESOLVED and not has_meaning(f)]
    metrics = sum(f.field_kind is FieldKind.METRIC for f in unresolved)
    if unresolved:
        yield Wanted(
            "SEMANTIC_FIELDS_UNRESOLVED",
            f"{len(unresolved)} of {len(reviewed)} fields ({metrics} of them metrics) have neither label nor "
            "description. Apply a semantic source or write them.",
            "dataset",
            severity=FindingSeverity.WARNING if metrics else None,
        )
    waiting = sum(f.needs_review and not f.has_conflict for f in reviewed)
    if waiting:
        noun = "field waits" if waiting == 1 else "fields wait"
        yield Wanted("SEMANTIC_REVIEW_PENDING", f"{waiting} {noun} for a look at the proposed texts.", "dataset")
    for item in reviewed:
        if item.has_conflict:
            yield Wanted(
                "SEMANTIC_CONFLICT",
                f"Sources disagree about {item.field_name}. Accept one of the candidates or write your own.",
                f"field:{item.field_id}",
            )


def _about_preview(review: Review, status: PreviewStatus | None) -> Iterator[Wanted]:
    preview = review.preview
    if preview is None:
        return
    ref = f"preview:{preview.preview_id}"
    if status is PreviewStatus.STALE:
        yield Wanted("PREVIEW_STALE", "Make a new preview: the shown SQL no longer matches the review.", ref)
    if status is PreviewStatus.FAILED:
        yield Wanted("PREVIEW_FAILED", f"The SQL could not be compiled: {(preview.error_details or '')[:500]}", ref)
    if preview.stale_reason == DATASET_CHANGED:
        yield Wanted(
            "DATASET_CHANGED_UPSTREAM", "The dataset has changed since the preview. Import again and preview anew.", ref
        )
    for name in preview.warnings if status in {PreviewStatus.READY, PreviewStatus.STALE} else ():
        yield Wanted("FILTER_NOT_APPLIED", f"{name} does not occur in the compiled SQL.", f"{ref}:{name}")


def _about_run(review: Review) -> Iterator[Wanted]:
    run = review.run
    if run is None:
        return
    ref = f"run:{run.run_context_id}"
    if run.outcome_unknown:
        yield Wanted("LAUNCH_OUTCOME_UNKNOWN", "The service restarted and found no trace of the run.", ref)
    elif run.launch_status is LaunchStatus.FAILED:
        yield Wanted("LAUNCH_FAILED", f"The last run failed: {(run.launch_error or '')[:500]}", ref)
    if run.diverged:
        yield Wanted("LAUNCH_SQL_DIVERGED", "The executed SQL differs from the previewed text.", ref)


def value_is_missing(variable: Variable, review: Review) -> bool:
    """The variable has neither a mapped value nor a default."""
    mapping = next((m for m in review.mappings if m.variable_id == variable.variable_id), None)
    return usable_value(mapping, variable) == NULL
