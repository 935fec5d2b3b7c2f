"""Words that exports use for the contract's values."""

from __future__ import annotations

from datetime import datetime

from sagitta_server.reviews.enums import BusinessSummarySource, FieldProvenance
from sagitta_server.reviews.json_text import NULL, JsonText, load
from sagitta_server.reviews.mappings import usable_value
from sagitta_server.reviews.values import Filter, Mapping, Review, Variable

PROVENANCE = {
    FieldProvenance.DICTIONARY_EXACT: "dictionary",
    FieldProvenance.REFERENCE_IMPORTED: "reference",
    FieldProvenance.FUZZY_INFERRED: "similar name",
    FieldProvenance.AI_GENERATED: "generated, accepted",
    FieldProvenance.MANUAL_OVERRIDE: "written by the owner",
    FieldProvenance.UNRESOLVED: "open",
}
LEGEND = (
    "dictionary: a data dictionary names the field",
    "reference: the dataset itself or another dataset describes it",
    "similar name: taken over from a field with a similar name",
    "generated, accepted: drafted by a model and accepted by the owner",
    "written by the owner: never overwritten automatically",
    "open: nobody has said yet what it means",
)
SUMMARY_SOURCE = {
    BusinessSummarySource.CONFIRMED: "was confirmed by the owner",
    BusinessSummarySource.IMPORTED: "begins with the dataset's own description",
    BusinessSummarySource.INFERRED: "was made from the dataset's structure",
    BusinessSummarySource.AI_DRAFT: "was drafted by a model",
    BusinessSummarySource.MANUAL_OVERRIDE: "was written by the owner",
}
_SHOWN = 300


def moment(at: datetime | None) -> str:
    """A time for people."""
    return "" if at is None else at.strftime("%Y-%m-%d %H:%M UTC")


def value_text(value: JsonText) -> str:
    """A JSON value for people: text without quotes, lists with commas."""
    parsed = load(value)
    if parsed is None:
        return "none"
    if isinstance(parsed, str):
        text = parsed
    elif isinstance(parsed, list):
        text = ", ".join(item if isinstance(item, str) else str(item) for item in parsed)
    elif isinstance(parsed, dict) and set(parsed) == {"time_range"}:
        text = str(parsed["time_range"])
    else:
        text = value
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def filter_name(item: Filter) -> str:
    """The name of a filter for people."""
    return item.display_name or item.column_name or item.filter_name


def variable_value(review: Review, variable: Variable) -> tuple[str, str]:
    """The value of a variable and where it comes from."""
    mapping = next((m for m in review.mappings if m.variable_id == variable.variable_id), None)
    value = usable_value(mapping, variable)
    if value == NULL:
        return "none", "missing" if variable.is_required else "not needed"
    if mapping is None or value != mapping.effective_value:
        return value_text(value), "default"
    return value_text(value), mapping_origin(review, mapping)


def mapping_origin(review: Review, mapping: Mapping) -> str:
    """Where a mapped value comes from, with the owner's word on it."""
    source = next((f for f in review.filters if f.filter_id == mapping.filter_id), None)
    given = source is None or source.is_placeholder or mapping.mapping_method == "manual_override"
    origin = "given by the owner" if given or source is None else f"filter {filter_name(source)}"
    return f"{origin} ({mapping.approval_state.value.replace('_', ' ')})"


def runs_as(review: Review) -> str | None:
    """Whose rights the dataset is read and run with, where they are not the reader's own; None otherwise."""
    if review.dataset is None or not review.dataset.base_url:
        return None
    return f"the service account of {review.session.environment_id}: its row-level security applies, not the reader's"
