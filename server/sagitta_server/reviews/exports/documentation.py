"""The documentation of a dataset as a document: what it means and how it is read here."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from sagitta_server.reviews.enums import FieldKind, FindingSeverity
from sagitta_server.reviews.exports.blocks import Block, Bullets, Code, Document, Heading, Paragraph, Table
from sagitta_server.reviews.exports.wording import (
    LEGEND,
    PROVENANCE,
    SUMMARY_SOURCE,
    filter_name,
    moment,
    runs_as,
    value_text,
    variable_value,
)
from sagitta_server.reviews.gates import is_unsettled
from sagitta_server.reviews.settle import ordered_findings
from sagitta_server.reviews.sql_safety import readable
from sagitta_server.reviews.values import Field, Review


def documentation(review: Review, now: datetime) -> Document:
    """The documentation of what is known, also while the dataset is not identified."""
    return Document(
        title=review.profile.dataset_name,
        subtitle=f"Dataset documentation, version {review.session.version} of the review, {moment(now)}",
        blocks=tuple(_blocks(review)),
    )


def _blocks(review: Review) -> Iterator[Block]:
    profile = review.profile
    yield Paragraph(profile.business_summary)
    yield Paragraph(f"This summary {SUMMARY_SOURCE[profile.business_summary_source]}.")
    yield Heading("Identity")
    yield Table(("Property", "Value"), tuple(_identity(review)), (1, 3))
    yield from _fields(review, FieldKind.COLUMN, "Columns")
    yield from _fields(review, FieldKind.METRIC, "Metrics")
    yield from _filters(review)
    yield from _variables(review)
    yield from _sql(review)
    yield from _open_points(review)
    if review.fields:
        yield Heading("Where the texts come from")
        yield Bullets(LEGEND)


def _identity(review: Review) -> Iterator[tuple[str, str]]:
    session, profile = review.session, review.profile
    yield "Dataset", session.dataset_ref
    yield "Environment", session.environment_id
    if review.dataset is not None and review.dataset.base_url:
        yield "Compiled and run as", "the environment's service account, with its row-level security"
    yield "Kind", profile.dataset_type.value.replace("_", " ")
    if profile.database_name:
        yield "Database", profile.database_name
    if profile.schema_name:
        yield "Schema", profile.schema_name
    if account := runs_as(review):
        yield "Read and run as", account
    yield "Owner of the review", session.owner_id
    yield "State", session.readiness_state.value.replace("_", " ")
    yield "Confidence", profile.confidence_state.value.replace("_", " ")
    if profile.completeness_score is not None:
        yield "Completeness", f"{round(profile.completeness_score * 100)} %"


def _fields(review: Review, kind: FieldKind, title: str) -> Iterator[Block]:
    found = [f for f in review.fields if f.field_kind is kind]
    if not found:
        return
    yield Heading(f"{title} ({len(found)})")
    yield Table(
        ("Name", "Label", "Description", "Format", "Source"), tuple(map(_field_row, found)), (22, 22, 50, 14, 16)
    )


def _field_row(item: Field) -> tuple[str, ...]:
    source = PROVENANCE[item.provenance]
    if item.has_conflict:
        source += ", in conflict"
    elif item.needs_review:
        source += ", to be reviewed"
    if item.is_locked:
        source += ", locked"
    return item.field_name, item.verbose_name or "", item.description or "", item.display_format or "", source


def _filters(review: Review) -> Iterator[Block]:
    shown = [f for f in review.filters if not f.is_placeholder]
    if not shown:
        return
    yield Heading("Filters")
    rows = tuple(
        (
            filter_name(f),
            f.operator,
            value_text(f.normalized_value),
            f.confidence_state.value + ("" if f.dataset_scope else ", not applied"),
        )
        for f in shown
    )
    yield Table(("Filter", "Operator", "Value", "State"), rows, (30, 14, 40, 16))


def _variables(review: Review) -> Iterator[Block]:
    if not review.variables:
        return
    yield Heading("Template variables")
    rows = []
    for variable in review.variables:
        value, origin = variable_value(review, variable)
        needed = "required" if variable.is_required else "optional"
        rows.append((variable.variable_name, value, origin, needed, variable.expression_source))
    yield Table(("Variable", "Value", "From", "Needed", "Read in"), tuple(rows), (20, 22, 24, 12, 40))


def _sql(review: Review) -> Iterator[Block]:
    preview = review.preview
    if preview is None or not preview.compiled_sql:
        return
    yield Heading("Compiled SQL")
    if preview.preview_status != "ready":
        yield Paragraph(f"This preview is {preview.preview_status}; make a new one before relying on it.", strong=True)
    yield Code(readable(preview.compiled_sql, preview.dialect), "sql")


def _open_points(review: Review) -> Iterator[Block]:
    yield Heading("Open points")
    unsettled = [
        f for f in ordered_findings(review) if is_unsettled(f) and f.severity is not FindingSeverity.INFORMATIONAL
    ]
    if unsettled:
        yield Bullets(tuple(f"{f.title} ({f.severity}): {f.message}" for f in unsettled))
    else:
        yield Paragraph("None.")
