"""The model as meant: every reference bound, every default filled in, every synonym of a spelling gone.

The planner, the discovery functions and the servers read these values and nothing else of a model.
All mappings are keyed by the exact name and keep the order of the document.
"""

from __future__ import annotations

import datetime as dt
import re
import zoneinfo
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any

from sqlglot import exp

from sagitta_compiler.model.types import (
    AbstractType,
    Aggregation,
    Cardinality,
    Comparison,
    CumulativeType,
    DataType,
    Direction,
    GrainMode,
    MetricType,
    NumClass,
    SemiAdditiveFunction,
    TimeGrain,
    WindowFunction,
)
from sagitta_compiler.query.query import FilterNode, Query, Scalar


def _nothing() -> Mapping[str, Any]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True, order=True)
class ColumnRef:
    """A column of a data object, by their labels (never physical names)."""

    object: str
    column: str

    def __str__(self) -> str:
        return f"{self.object}.{self.column}"


def column_refs(name: str) -> Iterator[ColumnRef]:
    """Yields every way to read `Object.Column`, the first dot first: names may hold dots."""
    for match in re.finditer(r"\.", name):
        yield ColumnRef(name[: match.start()].strip(), name[match.end() :].strip())


@dataclass(frozen=True, slots=True)
class Expression:
    """A parsed expression.

    In `tree` every `exp.Column` is a reference: with a table it is `Object.Column` (labels), without one it names a
    measure or metric. The tree is a template: copy it before use, never change or hand it to a parent.
    """

    text: str
    tree: exp.Expression = field(compare=False, repr=False)
    columns: tuple[ColumnRef, ...] = ()
    measures: tuple[str, ...] = ()

    @property
    def alone(self) -> str | None:
        """The measure or metric that the whole expression is, if it is one."""
        return self.tree.name if isinstance(self.tree, exp.Column) and not self.tree.table else None


@dataclass(frozen=True, slots=True)
class CustomExtension:
    """Opaque data of a vendor."""

    vendor: str
    data: str


@dataclass(frozen=True, slots=True)
class About:
    """What an author says about an artefact; no part of its meaning."""

    description: str | None = None
    comment: str | None = None
    owner: str | None = None
    synonyms: tuple[str, ...] = ()
    custom_extensions: tuple[CustomExtension, ...] = ()


@dataclass(frozen=True, slots=True)
class Column:
    """A column: physical (`code`) or computed (`expression`); `expression` wins.

    A computed column whose expression names measures reads them at their fixed grain (a row filtered by an aggregate).
    """

    name: str
    code: str
    type: AbstractType
    expression: Expression | None = None
    primary_key: bool = False
    num_class: NumClass | None = None
    sql_type: str | None = None
    sql_precision: int | None = None
    sql_scale: int | None = None
    about: About = About()


@dataclass(frozen=True, slots=True)
class Join:
    """An equality join from the declaring object (the many side) to `target`; column labels, pairwise."""

    source: str
    target: str
    cardinality: Cardinality
    columns_from: tuple[str, ...]
    columns_to: tuple[str, ...]
    secondary: bool = False
    path_name: str | None = None
    required: bool = False


@dataclass(frozen=True, slots=True)
class TableSource:
    """A table or view of the warehouse."""

    database: str
    schema: str
    code: str

    @property
    def qualified(self) -> str:
        """The non-empty parts joined by dots, the display form of the API."""
        return ".".join(part for part in (self.database, self.schema, self.code) if part)


@dataclass(frozen=True, slots=True)
class NestedSource:
    """Rows from unnesting an array column of a parent; `fallback` is used where FROM-unnest is missing."""

    parent: str
    column: str
    fallback: TableSource | None = None


@dataclass(frozen=True, slots=True)
class QuerySource:
    """A derived data object: the rows of a query of this model; its columns are the query's output labels (`code`)."""

    query: Query


@dataclass(frozen=True, slots=True)
class UnionMember:
    """One object of a union: which of its columns feeds each column of the union, and its discriminator value."""

    object: str
    columns: Mapping[str, str]
    value: str


@dataclass(frozen=True, slots=True)
class UnionSource:
    """A union of data objects; `discriminator` is the union's column that tells the members apart."""

    members: tuple[UnionMember, ...]
    discriminator: str | None = None


Source = TableSource | NestedSource | QuerySource | UnionSource


@dataclass(frozen=True, slots=True)
class Refresh:
    """A freshness contract; durations in seconds, None when the text could not be read (then freshness is unknown)."""

    mode: str
    interval_seconds: int | None = None
    anchor: str | None = None
    timezone: str = "UTC"
    max_staleness_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class RowPolicy:
    """Which rows of an object a caller sees; operands such as `{claims.region}` stand for the caller's."""

    filters: tuple[FilterNode, ...]
    exempt_roles: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class DataObject:
    """Rows with named columns, wherever they come from."""

    name: str
    source: Source
    columns: Mapping[str, Column]
    joins: tuple[Join, ...] = ()
    refresh: Refresh | None = None
    countable: bool = True
    count_label: str | None = None
    about: About = About()
    row_policy: RowPolicy | None = None

    @property
    def primary_key(self) -> tuple[str, ...]:
        """The labels of the key columns; empty when none is declared."""
        return tuple(c.name for c in self.columns.values() if c.primary_key)


@dataclass(frozen=True, slots=True)
class Dimension:
    """A column to group by; `via` forces the join path through an object, which also makes roles."""

    name: str
    object: str
    column: str
    result_type: AbstractType = AbstractType.STRING
    time_grain: TimeGrain | None = None
    via: str | None = None
    format: str | None = None
    about: About = About()

    @property
    def ref(self) -> ColumnRef:
        return ColumnRef(self.object, self.column)


@dataclass(frozen=True, slots=True)
class Grain:
    """A change of the dimensions by which a measure is grouped. `total: true` is FIXED with nothing kept."""

    mode: GrainMode = GrainMode.RELATIVE
    exclude: tuple[str, ...] = ()
    include: tuple[str, ...] = ()
    keep_only: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FilterContext:
    """A change of the filters that apply to a measure; names are dimensions or `Object.Column`."""

    mode: GrainMode = GrainMode.RELATIVE
    exclude: tuple[str, ...] = ()
    keep_only: tuple[str, ...] = ()
    include: tuple[FilterNode, ...] = ()


@dataclass(frozen=True, slots=True)
class WithinGroup:
    """The order inside a LISTAGG."""

    column: ColumnRef
    order: Direction = Direction.ASC


@dataclass(frozen=True, slots=True)
class SemiAdditive:
    """A measure that adds up over everything but time: one point in time is chosen per entity, then aggregated.

    `time` is the column that orders the points, `per` the columns that tell entities apart
    (empty: the home's other key columns).
    """

    time: ColumnRef
    function: SemiAdditiveFunction
    per: tuple[ColumnRef, ...] = ()


@dataclass(frozen=True, slots=True)
class Measure:
    """An aggregation.

    `columns` or `expression` is its argument; neither with COUNT counts rows of `count_of` (or of the home).

    An expression that names measures is a nested aggregation: those are evaluated per `over` (and the query's grain),
    then aggregated again.
    """

    name: str
    aggregation: Aggregation
    columns: tuple[ColumnRef, ...] = ()
    expression: Expression | None = None
    count_of: str | None = None
    result_type: AbstractType = AbstractType.FLOAT
    distinct: bool = False
    grain: Grain | None = None
    filter_context: FilterContext | None = None
    filters: tuple[FilterNode, ...] = ()
    allow_fan_out: bool = False
    default_value: Scalar = None
    delimiter: str = ","
    within_group: WithinGroup | None = None
    percentile: float | None = None
    percentile_discrete: bool = False
    semi_additive: SemiAdditive | None = None
    over: tuple[str, ...] = ()
    data_type: DataType | None = None
    anchor: str | None = None
    total: bool = False
    synthesised: bool = False
    format: str | None = None
    about: About = About()


@dataclass(frozen=True, slots=True)
class DerivedMetric:
    """A formula over measures and metrics."""

    name: str
    expression: Expression
    data_type: DataType | None = None
    format: str | None = None
    about: About = About()
    type = MetricType.DERIVED


@dataclass(frozen=True, slots=True)
class CumulativeMetric:
    """A running (neither), rolling (`window` periods) or to-date (`grain_to_date`) aggregate along a time dimension."""

    name: str
    measure: str
    time_dimension: str
    function: CumulativeType = CumulativeType.SUM
    window: int | None = None
    grain_to_date: TimeGrain | None = None
    partition_by: tuple[str, ...] | None = None
    data_type: DataType | None = None
    format: str | None = None
    about: About = About()
    type = MetricType.CUMULATIVE


@dataclass(frozen=True, slots=True)
class PeriodOverPeriodMetric:
    """A measure or metric compared with itself `offset` `offset_grain`s away, on the time dimension at `grain`."""

    name: str
    expression: Expression
    time_dimension: str
    grain: TimeGrain
    offset: int
    offset_grain: TimeGrain
    comparison: Comparison = Comparison.PERCENT_CHANGE
    data_type: DataType | None = None
    format: str | None = None
    about: About = About()
    type = MetricType.PERIOD_OVER_PERIOD


@dataclass(frozen=True, slots=True)
class WindowMetric:
    """A rank, a shift or an edge value over the finished rows."""

    name: str
    function: WindowFunction
    measure: str | None = None
    time_dimension: str | None = None
    offset: int | None = None
    buckets: int | None = None
    order: Direction = Direction.DESC
    default_value: Scalar = None
    partition_by: tuple[str, ...] = ()
    data_type: DataType | None = None
    format: str | None = None
    about: About = About()
    type = MetricType.WINDOW


Metric = DerivedMetric | CumulativeMetric | PeriodOverPeriodMetric | WindowMetric


@dataclass(frozen=True, slots=True)
class Settings:
    """The model's settings; None where the document is silent."""

    default_numeric_data_type: DataType | None = None
    default_timezone: str | None = None
    override_database_timezone: bool = False
    default_dialect: str | None = None
    default_locale: str | None = None
    expression_mode: str = "permissive"
    query_timezone: str | None = None
    week_start: str = "monday"
    fiscal_year_start: int = 1
    declared: tuple[str, ...] = ()
    """The camelCase keys that the document states, in its order (the API mirrors only those)."""

    def local(self, moment: dt.datetime) -> dt.datetime:
        """Returns an aware moment on the model's clock, which says what day it is: in `default_timezone`, else UTC."""
        return moment.astimezone(zoneinfo.ZoneInfo(self.default_timezone or "UTC"))


@dataclass(frozen=True, slots=True)
class Example:
    """A canonical query."""

    name: str
    description: str
    intent_tags: tuple[str, ...]
    query: Mapping[str, Any]


@dataclass(frozen=True)
class ResolvedModel:
    """A model that can be queried. `filters` are the static ones: they always apply."""

    name: str | None
    objects: Mapping[str, DataObject]
    dimensions: Mapping[str, Dimension] = field(default_factory=_nothing)
    measures: Mapping[str, Measure] = field(default_factory=_nothing)
    metrics: Mapping[str, Metric] = field(default_factory=_nothing)
    filters: tuple[FilterNode, ...] = ()
    settings: Settings = Settings()
    examples: tuple[Example, ...] = ()
    version: float = 1.0
    extends: tuple[str, ...] = ()
    inherits: str | None = None
    about: About = About()

    @cached_property
    def joins(self) -> tuple[Join, ...]:
        """All joins, in the order of the document."""
        return tuple(join for data_object in self.objects.values() for join in data_object.joins)

    @cached_property
    def row_policies(self) -> dict[str, RowPolicy]:
        """The row policies by the data object whose rows they are about."""
        return {name: item.row_policy for name, item in self.objects.items() if item.row_policy is not None}

    @cached_property
    def derived(self) -> dict[Any, Any]:
        """What later stages derive from the model alone (its join graph, say), remembered with it."""
        return {}

    def column(self, ref: ColumnRef) -> Column:
        return self.objects[ref.object].columns[ref.column]
