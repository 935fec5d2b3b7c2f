"""The query as asked: one value, whichever door it came through (JSON, YAML, gRPC or SQL).

Names are still text here; `bind` gives them their meaning. Spellings are already normalised.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from sagitta_compiler.model.types import Direction, FilterOperator, TimeGrain

Scalar = str | int | float | bool | Decimal | dt.date | dt.datetime | dt.time | None
"""A value in a filter or a default. JSON gives text for dates; SQL gives typed ones."""


class Logic(StrEnum):
    """How the members of a group combine."""

    AND = "and"
    OR = "or"


class Grouping(StrEnum):
    """The extra levels of subtotals."""

    ROLLUP = "rollup"
    CUBE = "cube"


class NullsOrder(StrEnum):
    """Where NULLs go in an order."""

    FIRST = "first"
    LAST = "last"


@dataclass(frozen=True, slots=True)
class RelativePeriod:
    """A date range relative to today, bound when the query is compiled."""

    unit: TimeGrain
    count: int
    future: bool = False
    include_current: bool = True


@dataclass(frozen=True, slots=True)
class Subquery:
    """The target of EXISTS: rows of an object, reached by joins, that pass the filters."""

    object: str
    path_name: str | None = None
    filters: tuple[FilterNode, ...] = ()


@dataclass(frozen=True, slots=True)
class Filter:
    """One predicate.

    `values` holds the operands: one for comparisons, two for BETWEEN, any number for IN, none for IS NULL.
    """

    field: str
    operator: FilterOperator
    values: tuple[Scalar, ...] = ()
    relative: RelativePeriod | None = None
    subquery: Subquery | None = None
    grain: TimeGrain | None = None
    """Truncate the field first (`Order Date:month` or DATE_TRUNC in SQL)."""


@dataclass(frozen=True, slots=True)
class FilterGroup:
    """Predicates joined by AND or OR, perhaps negated; no row passes an OR of none."""

    logic: Logic
    filters: tuple[FilterNode, ...]
    negated: bool = False


FilterNode = Filter | FilterGroup


@dataclass(frozen=True, slots=True)
class DimensionItem:
    """A selected dimension; `alias` is the output label (default: the name, or `Name:grain` for a second grain)."""

    name: str
    grain: TimeGrain | None = None
    alias: str | None = None


@dataclass(frozen=True, slots=True)
class CoalesceItem:
    """Several dimensions as one: the first that is not NULL."""

    names: tuple[str, ...]
    alias: str


@dataclass(frozen=True, slots=True)
class MeasureItem:
    """A selected measure or metric; `filters` narrow it for this query only, `alias` is its output label."""

    name: str
    filters: tuple[FilterNode, ...] = ()
    alias: str | None = None


@dataclass(frozen=True, slots=True)
class FieldItem:
    """A raw column, `Object.Column`."""

    object: str
    column: str
    alias: str | None = None


@dataclass(frozen=True, slots=True)
class OrderItem:
    """A sort key: an output label, or a 1-based position as digits."""

    field: str
    direction: Direction = Direction.ASC
    nulls: NullsOrder | None = None


@dataclass(frozen=True, slots=True)
class PathChoice:
    """Use the secondary join `path_name` from `source` to `target` instead of the primary one."""

    source: str
    target: str
    path_name: str


@dataclass(frozen=True, slots=True)
class Query:
    """A question to a model. With `fields` it is raw (rows), else grouped by the dimensions."""

    dimensions: tuple[DimensionItem | CoalesceItem, ...] = ()
    measures: tuple[MeasureItem, ...] = ()
    fields: tuple[FieldItem, ...] = ()
    distinct: bool = False
    where: tuple[FilterNode, ...] = ()
    having: tuple[FilterNode, ...] = ()
    order_by: tuple[OrderItem, ...] = ()
    limit: int | None = None
    offset: int | None = None
    use_path_names: tuple[PathChoice, ...] = field(default=())
    dimensions_exclude: bool = False
    allow_fan_out: bool = False
    grouping: Grouping | None = None
    column_order: tuple[str, ...] = ()
    """Output labels in the wanted order; empty: dimensions, then measures (or the fields as listed)."""
