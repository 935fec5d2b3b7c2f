"""What changed in meaning between two states of a review, attribute by attribute.

Only what a reader of the documentation or of the result would notice counts: texts and provenance of fields, values of
filters, variables and mappings, approvals, the summary, the dataset, the status.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from sagitta_server.reviews.json_text import NULL, JsonText, dump
from sagitta_server.reviews.values import Field, Filter, Review, Variable

_T = TypeVar("_T")

_FIELD = ("verbose_name", "description", "display_format", "provenance", "is_locked")
_MAPPING = ("effective_value", "mapping_method", "approval_state")
_PROFILE = ("dataset_name", "business_summary", "business_summary_source")
_SESSION = ("status", "dataset_ref")


@dataclass(frozen=True, slots=True)
class Change:
    """One attribute that means something else now; values are JSON text, `null` for what did not or does not exist."""

    subject: str
    name: str
    attribute: str
    before: JsonText
    after: JsonText


def changes_between(before: Review | None, after: Review) -> Iterator[Change]:
    """All changes of meaning; `before` None means the session is new."""
    if before is None:
        return
    yield from _attributes("session", "", before.session, after.session, _SESSION)
    yield from _attributes("profile", "", before.profile, after.profile, _PROFILE)
    yield from _items("field", before.fields, after.fields, _field_key, _FIELD)
    yield from _items("filter", before.filters, after.filters, _filter_key, ("normalized_value", "recovery_status"))
    yield from _items("variable", before.variables, after.variables, _variable_key, ("default_value", "is_required"))
    names = {v.variable_id: v.variable_name for v in (*before.variables, *after.variables)}
    yield from _items(
        "mapping", before.mappings, after.mappings, lambda m: names.get(m.variable_id, m.mapping_id), _MAPPING
    )


def fold(changes: Iterable[Change]) -> tuple[Change, ...]:
    """The sum of consecutive changes: the first `before` with the last `after`, without what came back."""
    folded: dict[tuple[str, str, str], Change] = {}
    for change in changes:
        key = (change.subject, change.name, change.attribute)
        first = folded.get(key)
        before = first.before if first is not None else change.before
        folded[key] = Change(change.subject, change.name, change.attribute, before, change.after)
    return tuple(c for c in folded.values() if c.before != c.after)


def _field_key(item: Field) -> str:
    return item.field_name


def _filter_key(item: Filter) -> str:
    return f"{item.filter_name} {item.operator}"


def _variable_key(item: Variable) -> str:
    return item.variable_name


def _items(
    subject: str,
    before: Iterable[_T],
    after: Iterable[_T],
    key: Callable[[_T], str],
    attributes: tuple[str, ...],
) -> Iterator[Change]:
    known = {key(item): item for item in before}
    present = {key(item): item for item in after}
    for name in dict.fromkeys((*known, *present)):
        yield from _attributes(subject, name, known.get(name), present.get(name), attributes)


def _attributes(
    subject: str, name: str, before: object | None, after: object | None, attributes: tuple[str, ...]
) -> Iterator[Change]:
    for attribute in attributes:
        old, new = _text(before, attribute), _text(after, attribute)
        if old != new:
            yield Change(subject, name, attribute, old, new)


def _text(item: object | None, attribute: str) -> JsonText:
    if item is None:
        return NULL
    value = getattr(item, attribute)
    if attribute in {"normalized_value", "default_value", "effective_value"}:
        return JsonText(value)
    return dump(value.value if isinstance(value, StrEnum) else value)
