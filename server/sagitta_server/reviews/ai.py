"""Who drafts labels, descriptions and summaries: the protocol, its limits, and the provider that needs no network.

What goes out is bounded: names, types, expressions with their literals replaced, existing labels. Never filter values,
rows, links or user names. What comes back is bounded as well: known field names, cut and stripped texts, one proposal
per field; nothing is applied without the owner.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from sagitta_server.reviews.candidates import Entry
from sagitta_server.reviews.enums import FieldKind
from sagitta_server.reviews.names import expand
from sagitta_server.reviews.values import Review

MAX_LABEL = 200
MAX_DESCRIPTION = 1000
MAX_SUMMARY = 2000
_KNOWN_SCORE, _UNKNOWN_SCORE = 0.50, 0.30
_MONEY = {"amount", "price", "cost", "revenue", "balance", "total", "sales", "value", "discount", "tax"}
_COUNTS = {"count", "quantity", "number"}
_SHARES = {"percent", "rate", "ratio", "share"}
_AGGREGATES: tuple[tuple[type[exp.Expression], str], ...] = (
    (exp.Sum, "Sum"),
    (exp.Avg, "Average"),
    (exp.Min, "Smallest"),
    (exp.Max, "Largest"),
    (exp.Count, "Number"),
)


@dataclass(frozen=True, slots=True)
class FieldFacts:
    """What a provider learns about one field."""

    name: str
    kind: FieldKind
    type_name: str
    type_group: str
    expression: str | None
    label: str | None


@dataclass(frozen=True, slots=True)
class DraftRequest:
    """What a provider learns about a dataset."""

    dataset_name: str
    fields: tuple[FieldFacts, ...]
    variables: tuple[str, ...]


class AiUnavailableError(Exception):
    """The provider did not give a usable answer; the embedded one is used instead."""


@dataclass(frozen=True, slots=True)
class Drafts:
    """Proposals, and what they cost."""

    entries: tuple[Entry, ...]
    calls: int = 0
    tokens: int = 0


class AiProvider(Protocol):
    """Drafts texts."""

    @property
    def name(self) -> str:
        """Its name in sources."""
        ...

    def propose_fields(self, request: DraftRequest) -> Drafts:
        """At most one proposal per field.

        Raises:
            AiUnavailableError: it is down, too slow, or talks nonsense.
        """
        ...

    def write_summary(self, request: DraftRequest, draft: str) -> str:
        """The drafted summary in better words.

        Raises:
            AiUnavailableError: as above.
        """
        ...


class EmbeddedProvider:
    """Deterministic drafts from names, types and expressions."""

    @property
    def name(self) -> str:
        return "embedded"

    def propose_fields(self, request: DraftRequest) -> Drafts:
        return Drafts(tuple(_draft(field, request.dataset_name) for field in request.fields))

    def write_summary(self, request: DraftRequest, draft: str) -> str:
        del request
        return draft


def draft_request(review: Review) -> DraftRequest:
    """What may be told about a review."""
    dataset = review.dataset
    columns = {c.name: (c.type, c.expression) for c in dataset.columns} if dataset else {}
    metrics = {m.name: ("", m.expression) for m in dataset.metrics} if dataset else {}
    facts = []
    for item in review.fields:
        if item.field_kind not in {FieldKind.COLUMN, FieldKind.METRIC}:
            continue
        type_name, expression = (columns if item.field_kind is FieldKind.COLUMN else metrics).get(
            item.field_name, ("", None)
        )
        facts.append(
            FieldFacts(
                item.field_name,
                item.field_kind,
                type_name,
                item.type_group,
                without_literals(expression) if expression else None,
                item.verbose_name,
            )
        )
    names = tuple(v.variable_name for v in review.variables)
    return DraftRequest(dataset.name if dataset else "", tuple(facts), names)


def without_literals(sql: str) -> str:
    """The expression with every literal replaced by `?`; nothing at all when it cannot be parsed."""
    try:
        tree = sqlglot.parse_one(sql)
    except SqlglotError:
        return "?"
    masked = tree.transform(lambda node: exp.Placeholder() if isinstance(node, exp.Literal) else node)
    return masked.sql(comments=False)


def _draft(field: FieldFacts, dataset_name: str) -> Entry:
    words = expand(field.name)
    label = " ".join(words).capitalize() if words else field.name
    known = tuple(field.name.lower().replace("_", " ").split()) != words or len(words) > 1
    return Entry(
        field_name=field.name,
        verbose_name=field.label or label[:MAX_LABEL],
        description=_description(field, label, dataset_name)[:MAX_DESCRIPTION],
        display_format=_format(frozenset(words), field),
        kind=field.kind,
        score=_KNOWN_SCORE if known else _UNKNOWN_SCORE,
    )


def _description(field: FieldFacts, label: str, dataset_name: str) -> str:
    if field.kind is FieldKind.METRIC:
        return f"{_aggregate(field.expression, label)} over {dataset_name}."
    shown = {"time": "Date or time", "number": "Number", "boolean": "Yes or no", "text": "Text"}.get(field.type_group)
    return f"{shown or 'Value'} of {label.lower()} in {dataset_name}."


def _aggregate(expression: str | None, label: str) -> str:
    try:
        tree = sqlglot.parse_one(expression) if expression else None
    except SqlglotError:
        tree = None
    word = next((word for kind, word in _AGGREGATES if isinstance(tree, kind)), None)
    argument = tree.this.sql() if tree is not None and word and isinstance(tree.this, exp.Column) else label.lower()
    return f"{word} of {argument}" if word else label


def _format(words: frozenset[str], field: FieldFacts) -> str | None:
    if field.type_group == "time":
        return "%Y-%m-%d" if "date" in field.type_name.lower() or "date" in words else "%Y-%m-%d %H:%M"
    if field.type_group != "number":
        return None
    if words & _SHARES:
        return ".1%"
    if words & _COUNTS:
        return ",d"
    return ",.2f" if words & _MONEY else None
