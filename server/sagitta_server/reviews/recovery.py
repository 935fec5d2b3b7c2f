"""What an import finds, merged into a review without losing what the owner did.

Items are found again by their natural key (name and kind; column, operator and origin; variable name), so that ids,
locks, manual texts, approvals of unchanged values and answers survive. What has vanished is removed and reported.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from sagitta_server.reviews.candidates import Entry, own_metadata_candidate, record, settle_field
from sagitta_server.reviews.enums import (
    FieldKind,
    FilterConfidenceState,
    FilterRecoveryStatus,
    SemanticSourceStatus,
    TrustLevel,
)
from sagitta_server.reviews.environment import Identified, OfferedSource
from sagitta_server.reviews.json_text import Json, dump, load
from sagitta_server.reviews.settle import Context
from sagitta_server.reviews.template_variables import DiscoveredVariable, Discovery, discover
from sagitta_server.reviews.values import (
    Column,
    Condition,
    Dataset,
    Field,
    Filter,
    Metric,
    Review,
    Source,
    TemplateText,
    Variable,
)

STEPS = (
    "identify",
    "dataset",
    "detail",
    "filters",
    "variables",
    "sources",
    "semantics",
    "mappings",
    "questions",
    "summary",
)
"""The steps of an import, in order."""
_KEPT_CONDITIONS = frozenset(
    {
        "SEMANTIC_SOURCE_NO_OVERLAP",
        "SEMANTIC_SOURCE_FAILED",
        "SEMANTIC_SOURCE_DUPLICATES",
        "SEMANTIC_LOCKED_SKIPPED",
        "AI_PROVIDER_UNAVAILABLE",
        "EXPERT_REVIEW_REQUESTED",
    }
)


def begin_import(review: Review, task_id: str) -> Review:
    """The review with an import under way; what the last import complained about is forgotten."""
    session = replace(review.session, import_task_id=task_id, imported=False)
    kept = tuple(c for c in review.conditions if c.code in _KEPT_CONDITIONS)
    return replace(review, session=session, conditions=kept)


def end_import(review: Review) -> Review:
    """The review after its import has ended, well or badly."""
    return replace(review, session=replace(review.session, import_task_id=None, imported=True))


def with_conditions(review: Review, conditions: Iterable[Condition]) -> Review:
    """The review with further conditions; the same one (code and ref) is updated."""
    fresh = {(c.code, c.ref): c for c in conditions}
    kept = tuple(c for c in review.conditions if (c.code, c.ref) not in fresh)
    return replace(review, conditions=(*kept, *fresh.values()))


def without_conditions(review: Review, *codes: str, ref: str | None = None) -> Review:
    """The review without the conditions of these codes (and this ref, when given)."""
    return replace(
        review,
        conditions=tuple(c for c in review.conditions if c.code not in codes or (ref is not None and c.ref != ref)),
    )


def with_identity(review: Review, found: Identified) -> Review:
    """The review knowing what its source names."""
    session = replace(
        review.session,
        dataset_ref=found.dataset_ref,
        dataset_id=found.dataset_id,
        dashboard_id=found.dashboard_id,
    )
    return with_conditions(replace(review, session=session), found.conditions)


def with_dataset(review: Review, dataset: Dataset, context: Context) -> Review:
    """The review with the dataset and its fields."""
    fields, removed = _merge_fields(review.fields, dataset, context)
    total = len(dataset.columns) + len(dataset.metrics)
    conditions = [*_removed("field", removed), *_over("field", total, context.limits.fields)]
    session = replace(review.session, dataset_ref=dataset.ref)
    return with_conditions(replace(review, session=session, dataset=dataset, fields=fields), conditions)


def with_filters(review: Review, found: Iterable[Filter], context: Context) -> Review:
    """The review with the recovered filters; those that the owner dropped stay dropped, confirmed ones confirmed."""
    known = {natural_key(f): f for f in review.filters}
    merged: list[Filter] = []
    listed = list(found)
    for item in listed[: context.limits.filters]:
        key = natural_key(item)
        if key in review.removed_filters:
            continue
        was = known.pop(key, None)
        fresh = replace(item, filter_id=was.filter_id if was else context.new_id())
        merged.append(_confirmed(fresh) if key in review.confirmed_filters else fresh)
    kept = [f for f in known.values() if f.is_placeholder]
    gone = [f.display_name or f.filter_name for f in known.values() if not f.is_placeholder]
    left = {f.filter_id for f in (*merged, *kept)}
    mappings = tuple(m for m in review.mappings if m.filter_id in left)
    changed = replace(review, filters=(*merged, *kept), mappings=mappings)
    limit = context.limits.filters
    return with_conditions(
        changed, [*_removed("filter", gone), *_over("filter", len(listed), limit), *_left_out(listed[limit:])]
    )


def with_variables(review: Review, context: Context) -> Review:
    """The review with the variables that the dataset's templates read."""
    if review.dataset is None:
        return review
    params = load(review.dataset.template_params)
    given = params if isinstance(params, dict) else {}
    limits = context.limits
    texts = (*review.dataset.templates, *_free_filters(review))
    too_long = [t for t in texts if len(t.text.encode()) > limits.template_bytes]
    discovery = discover([t for t in texts if t not in too_long], frozenset(given))
    known = {v.variable_name: v for v in review.variables}
    reviewed = discovery.variables[: limits.variables]
    variables = tuple(_variable(found, known.pop(found.name, None), given, context) for found in reviewed)
    left = {v.variable_id for v in variables}
    fields = (*review.fields, *_parameter_fields(review, variables, context))
    mappings = tuple(m for m in review.mappings if m.variable_id in left)
    changed = replace(review, variables=variables, mappings=mappings, fields=fields)
    over = [
        *_over("variable", len(discovery.variables), limits.variables),
        *_too_long(too_long, limits.template_bytes),
    ]
    return with_conditions(changed, (*_template_conditions(discovery), *_removed("variable", list(known)), *over))


def _free_filters(review: Review) -> list[TemplateText]:
    """Filters of free SQL are templates too."""
    free = [(f, load(f.normalized_value)) for f in review.filters if f.operator == "SQL"]
    return [
        TemplateText(f"filter {f.display_name or f.filter_name}", text) for f, text in free if isinstance(text, str)
    ]


def with_offers(review: Review, offered: Iterable[OfferedSource], context: Context) -> Review:
    """The review with the sources that are offered; applied ones stay as they are."""
    known = {(s.source_type, s.source_ref): s for s in review.sources}
    for offer in offered:
        was = known.get((offer.source_type, offer.source_ref))
        if was is None:
            known[offer.source_type, offer.source_ref] = Source(
                source_id=context.new_id(),
                source_type=offer.source_type,
                source_ref=offer.source_ref,
                display_name=offer.display_name,
                trust_level=offer.trust_level,
                status=SemanticSourceStatus.AVAILABLE,
                created_at=context.now,
                schema_overlap_score=offer.overlap,
            )
        elif was.status is SemanticSourceStatus.AVAILABLE:
            known[offer.source_type, offer.source_ref] = replace(was, schema_overlap_score=offer.overlap)
    return replace(review, sources=tuple(known.values()))


def natural_key(item: Filter) -> str:
    """What a filter is found again by."""
    return f"{item.column_name or item.filter_name}\x1f{item.operator}\x1f{item.origin}"


def _merge_fields(
    existing: tuple[Field, ...], dataset: Dataset, context: Context
) -> tuple[tuple[Field, ...], list[str]]:
    known = {(f.field_name, f.field_kind): f for f in existing}
    trust = TrustLevel.TRUSTED if dataset.certified else TrustLevel.RECOMMENDED
    described: list[tuple[Column | Metric, FieldKind]] = [
        *((c, FieldKind.COLUMN) for c in dataset.columns),
        *((m, FieldKind.METRIC) for m in dataset.metrics),
    ]
    merged = [
        _with_own_texts(known.pop((item.name, kind), None), item, kind, trust, context)
        for item, kind in described[: context.limits.fields]
    ]
    others = [f for f in known.values() if f.field_kind in {FieldKind.PARAMETER, FieldKind.FILTER_DIMENSION}]
    gone = [f.field_name for f in known.values() if f not in others]
    return (*merged, *others), gone


def _with_own_texts(
    was: Field | None, item: Column | Metric, kind: FieldKind, trust: TrustLevel, context: Context
) -> Field:
    base = was or Field(field_id=context.new_id(), field_name=item.name, field_kind=kind)
    entry = Entry(item.name, item.label, item.description, item.display_format)
    candidate = own_metadata_candidate(context.new_id, entry)
    found = () if candidate is None else (replace(candidate, trust_level=trust),)
    return settle_field(record(replace(base, type_group=item.type_group), found, None))


def _parameter_fields(review: Review, variables: tuple[Variable, ...], context: Context) -> list[Field]:
    known = {(f.field_name, f.field_kind) for f in review.fields}
    wanted = [(v.variable_name, FieldKind.PARAMETER) for v in variables]
    wanted += [(f.column_name or f.filter_name, FieldKind.FILTER_DIMENSION) for f in review.filters if not f.removable]
    return [
        Field(field_id=context.new_id(), field_name=name, field_kind=kind)
        for name, kind in dict.fromkeys(wanted)
        if (name, kind) not in known
    ]


def _variable(found: DiscoveredVariable, was: Variable | None, given: Mapping[str, Json], context: Context) -> Variable:
    default = dump(given[found.name]) if found.name in given else found.default_value
    return Variable(
        variable_id=was.variable_id if was else context.new_id(),
        variable_name=found.name,
        expression_source=found.expression_source,
        variable_kind=found.kind,
        is_required=found.is_required,
        default_value=default,
        shape=found.shape,
        is_escaped=found.is_escaped,
        keeps_operator=found.keeps_operator,
    )


def _template_conditions(discovery: Discovery) -> list[Condition]:
    conditions = [Condition(issue.code, issue.message, issue.ref) for issue in discovery.issues]
    if discovery.reads_user:
        conditions.append(
            Condition(
                "SERVICE_ACCOUNT_CONTEXT",
                "The template asks who the user is; it will be told the environment's service account.",
                "dataset",
            )
        )
    return conditions


def _removed(what: str, names: list[str]) -> list[Condition]:
    if not names:
        return []
    shown = ", ".join(names[:10]) + (" and others" if len(names) > 10 else "")
    message = f"No longer found upstream and removed here ({what}s): {shown}."
    return [Condition("REIMPORT_REMOVED_ITEMS", message, f"{what}s", cause=shown)]


def _over(what: str, count: int, limit: int) -> list[Condition]:
    if count <= limit:
        return []
    message = f"There are {count} {what}s; the first {limit} are reviewed."
    return [Condition("DATASET_LIMIT_EXCEEDED", message, f"{what}s")]


def _left_out(rest: Sequence[Filter]) -> list[Condition]:
    """Filters beyond the limit are in no compiled text, so a run would return rows that the link does not show."""
    if not rest:
        return []
    shown = ", ".join(f.display_name or f.filter_name for f in rest[:10]) + (" and others" if len(rest) > 10 else "")
    message = (
        f"More filters than a review may have: {shown}. Without them a run returns rows that the source does not "
        "show. Start from a link with fewer filters, or have the limit raised (SAGITTA_REVIEWS__LIMITS__FILTERS)."
    )
    return [Condition("FILTERS_LEFT_OUT", message, "filters", cause=shown)]


def _too_long(texts: Iterable[TemplateText], limit: int) -> list[Condition]:
    """A template that is not searched may read variables that nobody sees: that blocks a launch."""
    return [
        Condition(
            "TEMPLATE_SYNTAX_ERROR",
            f"The template in {t.origin} has {len(t.text.encode())} bytes; at most {limit} are searched.",
            t.origin,
        )
        for t in texts
    ]


def _confirmed(item: Filter) -> Filter:
    return replace(
        item,
        confidence_state=FilterConfidenceState.CONFIRMED,
        requires_confirmation=False,
        recovery_status=FilterRecoveryStatus.RECOVERED,
    )
