"""Review values to messages and back; every enum value converts both ways by its name."""

from __future__ import annotations

import re
from enum import StrEnum
from functools import lru_cache
from typing import Any, TypeVar

from sagitta.review.v1 import enums_pb2 as enums
from sagitta.review.v1 import review_pb2 as pb
from sagitta.review.v1 import semantic_review_service_pb2 as semantic_pb

from sagitta_server.reviews import values as v
from sagitta_server.reviews.changes import Change
from sagitta_server.reviews.enums import LaunchStatus, PreviewStatus, QuestionState
from sagitta_server.reviews.errors import ReviewError, Violation, validation_error
from sagitta_server.reviews.events import RecoveryStep, StoredEvent
from sagitta_server.reviews.json_text import InvalidJsonError, JsonText, canonical
from sagitta_server.reviews.publishing import Publication
from sagitta_server.reviews.settle import ordered_findings
from sagitta_server.reviews.store.artifacts import Artifact, Upload
from sagitta_server.rpc.convert import timestamp

E = TypeVar("E", bound=StrEnum)


def enum_number(value: StrEnum | None) -> Any:
    """The number of an enum value; 0 (unspecified) for None."""
    if value is None:
        return 0
    return _numbers(type(value))[value.value]


def enum_value(cls: type[E], number: int) -> E | None:
    """The value of an enum number; None for 0 (unspecified).

    Raises:
        ReviewError: `validation_error`, the number means nothing.
    """
    if number == 0:
        return None
    for value, known in _numbers(cls).items():
        if known == number:
            return cls(value)
    raise validation_error(Violation(f"body.{_snake(cls.__name__)}", "is not one of the known values"))


def required_enum(cls: type[E], number: int, field: str) -> E:
    """As `enum_value`, for a field that must be given."""
    value = enum_value(cls, number)
    if value is None:
        raise validation_error(Violation(field, f"must be one of {', '.join(cls)}"))
    return value


def json_value(text: str) -> pb.JsonValue:
    """A JSON text as a message."""
    return pb.JsonValue(json=text)


def json_text(message: pb.JsonValue, field: str) -> JsonText:
    """The canonical text of a JSON message.

    Raises:
        ReviewError: `validation_error`, it is not JSON.
    """
    try:
        return canonical(message.json)
    except InvalidJsonError as error:
        raise validation_error(Violation(field, "is not JSON")) from error


def summary(review: v.Review) -> pb.SessionSummary:
    """The summary of a review."""
    return session_summary(review.session)


def session_summary(session: v.Session) -> pb.SessionSummary:
    """The summary of a session."""
    return pb.SessionSummary(
        session_id=session.session_id,
        dataset_ref=session.dataset_ref,
        dataset_id=session.dataset_id,
        dashboard_id=session.dashboard_id,
        environment_id=session.environment_id,
        readiness_state=enum_number(session.readiness_state),
        recommended_action=enum_number(session.recommended_action),
        status=enum_number(session.status),
        current_phase=enum_number(session.current_phase),
        active_task_id=session.active_task_id,
        created_at=timestamp(session.created_at),
        updated_at=timestamp(session.updated_at),
        last_activity_at=timestamp(session.last_activity_at),
        version=session.version,
    )


def detail(review: v.Review) -> pb.SessionDetail:
    """A review with everything that hangs off it."""
    session_id = review.session_id
    return pb.SessionDetail(
        session=summary(review),
        profile=profile(review),
        findings=[finding(f, session_id) for f in ordered_findings(review)],
        semantic_sources=[source(s, session_id) for s in review.sources],
        semantic_fields=[field_entry(f, session_id) for f in review.fields],
        filters=[imported_filter(f, session_id) for f in review.filters],
        template_variables=[variable(x, session_id) for x in review.variables],
        mappings=list(mappings(review).items),
        clarification=clarification(review),
        preview=None if review.preview is None else preview(review.preview, session_id),
        latest_run_context=None if review.run is None else run_context(review.run, session_id),
    )


def profile(review: v.Review) -> pb.DatasetProfile:
    """The profile of a review."""
    p = review.profile
    return pb.DatasetProfile(
        profile_id=p.profile_id,
        session_id=review.session_id,
        dataset_name=p.dataset_name,
        schema_name=p.schema_name,
        database_name=p.database_name,
        business_summary=p.business_summary,
        business_summary_source=enum_number(p.business_summary_source),
        description=p.description,
        dataset_type=enum_number(p.dataset_type),
        is_sqllab_view=p.is_sqllab_view,
        completeness_score=p.completeness_score,
        confidence_state=enum_number(p.confidence_state),
        has_blocking_findings=p.has_blocking_findings,
        has_warning_findings=p.has_warning_findings,
        manual_summary_locked=p.manual_summary_locked,
        created_at=timestamp(p.created_at),
        updated_at=timestamp(p.updated_at),
    )


def finding(f: v.Finding, session_id: str) -> pb.ValidationFinding:
    """A finding."""
    return pb.ValidationFinding(
        finding_id=f.finding_id,
        session_id=session_id,
        area=enum_number(f.area),
        severity=enum_number(f.severity),
        code=f.code,
        title=f.title,
        message=f.message,
        resolution_state=enum_number(f.resolution_state),
        resolution_note=f.resolution_note,
        caused_by_ref=f.caused_by_ref,
        created_at=timestamp(f.created_at),
        resolved_at=timestamp(f.resolved_at),
    )


def source(s: v.Source, session_id: str) -> pb.SemanticSource:
    """A semantic source."""
    return pb.SemanticSource(
        source_id=s.source_id,
        session_id=session_id,
        source_type=enum_number(s.source_type),
        source_ref=s.source_ref,
        display_name=s.display_name,
        trust_level=enum_number(s.trust_level),
        schema_overlap_score=s.schema_overlap_score,
        status=enum_number(s.status),
        created_at=timestamp(s.created_at),
    )


def candidate(c: v.Candidate) -> pb.SemanticCandidate:
    """A candidate."""
    return pb.SemanticCandidate(
        candidate_id=c.candidate_id,
        source_id=c.source_id,
        candidate_rank=c.candidate_rank,
        match_type=enum_number(c.match_type),
        confidence_score=c.confidence_score,
        proposed_verbose_name=c.proposed_verbose_name,
        proposed_description=c.proposed_description,
        proposed_display_format=c.proposed_display_format,
        status=enum_number(c.status),
    )


def field_entry(f: v.Field, session_id: str) -> pb.SemanticFieldEntry:
    """A field."""
    return pb.SemanticFieldEntry(
        field_id=f.field_id,
        session_id=session_id,
        field_name=f.field_name,
        field_kind=enum_number(f.field_kind),
        verbose_name=f.verbose_name,
        description=f.description,
        display_format=f.display_format,
        provenance=enum_number(f.provenance),
        source_id=f.source_id,
        confidence_rank=f.confidence_rank,
        is_locked=f.is_locked,
        has_conflict=f.has_conflict,
        needs_review=f.needs_review,
        last_changed_by=enum_number(f.last_changed_by),
        candidates=[candidate(c) for c in f.candidates],
    )


def imported_filter(f: v.Filter, session_id: str) -> pb.ImportedFilter:
    """A filter."""
    return pb.ImportedFilter(
        filter_id=f.filter_id,
        session_id=session_id,
        filter_name=f.filter_name,
        display_name=f.display_name,
        raw_value=json_value(f.raw_value),
        normalized_value=json_value(f.normalized_value),
        source=enum_number(f.source),
        confidence_state=enum_number(f.confidence_state),
        requires_confirmation=f.requires_confirmation,
        recovery_status=enum_number(f.recovery_status),
        notes=f.notes,
        operator=f.operator,
        column_name=f.column_name,
        dataset_scope=f.dataset_scope,
    )


def variable(x: v.Variable, session_id: str) -> pb.TemplateVariable:
    """A template variable."""
    return pb.TemplateVariable(
        variable_id=x.variable_id,
        session_id=session_id,
        variable_name=x.variable_name,
        expression_source=x.expression_source,
        variable_kind=enum_number(x.variable_kind),
        is_required=x.is_required,
        default_value=json_value(x.default_value),
        mapping_status=enum_number(x.mapping_status),
    )


def mapping(m: v.Mapping, session_id: str) -> pb.ExecutionMapping:
    """A mapping."""
    return pb.ExecutionMapping(
        mapping_id=m.mapping_id,
        session_id=session_id,
        filter_id=m.filter_id,
        variable_id=m.variable_id,
        mapping_method=enum_number(m.mapping_method),
        raw_input_value=json_value(m.raw_input_value),
        effective_value=json_value(m.effective_value),
        transformation_note=m.owner_note or m.transformation_note,
        warning_level=enum_number(m.warning_level),
        requires_explicit_approval=m.requires_explicit_approval,
        approval_state=enum_number(m.approval_state),
        approved_by_user_id=m.approved_by_user_id,
        approved_at=timestamp(m.approved_at),
    )


def mappings(review: v.Review) -> pb.MappingCollection:
    """The mappings, required variables first, then template order."""
    places = {x.variable_id: (not x.is_required, position) for position, x in enumerate(review.variables)}
    ordered = sorted(review.mappings, key=lambda m: places[m.variable_id])
    return pb.MappingCollection(items=[mapping(m, review.session_id) for m in ordered])


def question(q: v.Question) -> pb.ClarificationQuestion:
    """A question."""
    return pb.ClarificationQuestion(
        question_id=q.question_id,
        topic_ref=q.topic_ref,
        question_text=q.question_text,
        why_it_matters=q.why_it_matters,
        current_guess=q.current_guess,
        priority=q.priority,
        state=enum_number(q.state),
        options=[
            pb.ClarificationOption(
                option_id=o.option_id,
                label=o.label,
                value=o.value,
                is_recommended=o.is_recommended,
                display_order=o.display_order,
            )
            for o in q.options
        ],
    )


def clarification(review: v.Review) -> pb.ClarificationState | None:
    """The conversation; None before the first import has ended."""
    c = review.clarification
    if c is None:
        return None
    done = {QuestionState.ANSWERED, QuestionState.SKIPPED, QuestionState.EXPERT_REVIEW}
    current = next((q for q in review.questions if q.question_id == c.current_question_id), None)
    return pb.ClarificationState(
        clarification_session=pb.ClarificationSessionSummary(
            clarification_session_id=c.clarification_session_id,
            session_id=review.session_id,
            status=enum_number(c.status),
            current_question_id=c.current_question_id,
            resolved_count=sum(q.state in done for q in review.questions),
            remaining_count=sum(q.state is QuestionState.OPEN for q in review.questions),
            summary_delta=c.summary_delta,
        ),
        current_question=None if current is None else question(current),
    )


def required_clarification(review: v.Review) -> pb.ClarificationState:
    """The conversation; before the first import an empty one that waits."""
    return clarification(review) or pb.ClarificationState(
        clarification_session=pb.ClarificationSessionSummary(
            session_id=review.session_id, status=enums.CLARIFICATION_STATUS_PENDING
        )
    )


def preview(p: v.Preview, session_id: str) -> pb.CompiledPreview:
    """A preview."""
    kind = enums.COMPILED_BY_SUPERSET if p.compiler_kind == "superset" else enums.COMPILED_BY_LOCAL
    ready = p.preview_status in {PreviewStatus.READY, PreviewStatus.STALE}
    return pb.CompiledPreview(
        preview_id=p.preview_id,
        session_id=session_id,
        preview_status=enum_number(p.preview_status),
        compiled_sql=p.compiled_sql,
        preview_fingerprint=p.preview_fingerprint,
        compiled_by=kind,
        error_code=p.error_code,
        error_details=p.error_details,
        compiled_at=timestamp(p.compiled_at) if ready else None,
        created_at=timestamp(p.created_at),
        compiler=pb.CompilerInfo(kind=kind, strategy=p.strategy, executed_rows=p.executed_rows),
    )


def run_context(r: v.Run, session_id: str) -> pb.DatasetRunContextSummary:
    """A run."""
    flight = None
    if r.flight_ticket is not None:
        flight = pb.FlightAccess(
            endpoints=list(r.flight_endpoints),
            ticket=r.flight_ticket,
            schema=r.flight_schema or "",
            expires_at=timestamp(r.flight_expires_at),
        )
    return pb.DatasetRunContextSummary(
        run_context_id=r.run_context_id,
        session_id=session_id,
        dataset_ref=r.dataset_ref,
        environment_id=r.environment_id,
        preview_id=r.preview_id,
        sql_lab_session_ref=r.sql_lab_session_ref,
        effective_filters=[imported_filter(f, session_id) for f in r.effective_filters],
        template_params=json_value(r.template_params),
        approved_mapping_ids=list(r.approved_mapping_ids),
        semantic_decision_refs=list(r.semantic_decision_refs),
        open_warning_refs=list(r.open_warning_refs),
        launch_status=enum_number(r.launch_status),
        launch_error=r.launch_error,
        created_at=timestamp(r.created_at),
        executed_sql=r.executed_sql,
        row_count=r.row_count,
        truncated=r.truncated if r.launch_status is LaunchStatus.SUCCESS else None,
        finished_at=timestamp(r.finished_at),
        flight=flight,
    )


def export_artifact(a: Artifact, session_id: str) -> pb.ExportArtifact:
    """An artifact, without its bytes."""
    return pb.ExportArtifact(
        artifact_id=a.artifact_id,
        session_id=session_id,
        artifact_type=enum_number(a.artifact_type),
        format=enum_number(a.format),
        storage_ref=f"/api/dataset-orchestration/sessions/{session_id}/exports/artifacts/{a.artifact_id}",
        created_by_user_id=a.created_by_user_id,
        created_at=timestamp(a.created_at),
    )


def upload_fields(upload: Upload) -> dict[str, Any]:
    """The fields of an upload's receipt."""
    return {
        "upload_id": upload.upload_id,
        "source_ref": f"upload:{upload.upload_id}",
        "file_name": upload.file_name,
        "size": len(upload.content),
        "expires_at": timestamp(upload.expires_at),
    }


def publish_receipt(publication: Publication) -> semantic_pb.PublishReceipt:
    """What was written back."""
    return semantic_pb.PublishReceipt(
        publication_id=publication.publication_id,
        dataset_ref=publication.dataset_ref,
        published_at=timestamp(publication.published_at),
        dry_run=publication.dry_run,
        changes=[
            semantic_pb.PublishedText(
                field_kind=enum_number(c.kind),
                field_name=c.name,
                attribute=c.attribute,
                before=c.before,
                after=c.after,
            )
            for c in publication.changes
        ],
        skipped=publication.skipped,
    )


def change_fields(change: Change) -> dict[str, Any]:
    """The fields of a semantic change."""
    return {
        "subject": change.subject,
        "name": change.name,
        "attribute": change.attribute,
        "before": json_value(change.before),
        "after": json_value(change.after),
    }


def event(stored: StoredEvent, session_id: str) -> pb.SessionEvent:
    """An event; a question is shown as the question alone, inside a clarification."""
    message = pb.SessionEvent(
        sequence=stored.sequence, at=timestamp(stored.at), kind=stored.kind, version=stored.version
    )
    match stored.payload:
        case None:
            pass
        case v.Session() as item:
            message.summary.CopyFrom(session_summary(item))
        case v.Finding() as item:
            message.finding.CopyFrom(finding(item, session_id))
        case v.Field() as item:
            message.field.CopyFrom(field_entry(item, session_id))
        case v.Question() as item:
            message.clarification.current_question.CopyFrom(question(item))
            message.clarification.clarification_session.session_id = session_id
        case v.Mapping() as item:
            message.mapping.CopyFrom(mapping(item, session_id))
        case v.Preview() as item:
            message.preview.CopyFrom(preview(item, session_id))
        case v.Run() as item:
            message.run.CopyFrom(run_context(item, session_id))
        case RecoveryStep() as item:
            message.step.CopyFrom(pb.RecoveryStep(name=item.name, number=item.number, total=item.total))
    return message


def error_detail(error: ReviewError, http_status: int, details: str) -> pb.ErrorDetail:
    """An error as the REST contract words it."""
    return pb.ErrorDetail(
        code=error.code,
        http_status=http_status,
        message=error.message,
        violations=[pb.FieldViolation(field=x.field, message=x.message) for x in error.violations],
        details=pb.JsonValue(json=details) if details else None,
    )


@lru_cache(maxsize=64)
def _numbers(cls: type[StrEnum]) -> dict[str, int]:
    name = cls.__name__
    descriptor = enums.DESCRIPTOR.enum_types_by_name[name]
    prefix = f"{_snake(name).upper()}_"
    return {item.name.removeprefix(prefix).lower(): item.number for item in descriptor.values if item.number != 0}


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
