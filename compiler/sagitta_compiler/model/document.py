"""The model as written: one class per mapping of the language. The JSON Schema of a model is generated from these.

A value here mirrors its text: nothing is looked up, only spellings and types are settled.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field, GetJsonSchemaHandler, Strict, WithJsonSchema
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from sagitta_compiler.documents import AnyCase, DocumentNode, Flag, OneOrMany, ScalarValue, Texts, Whole
from sagitta_compiler.model.types import (
    AbstractType,
    Aggregation,
    Cardinality,
    Comparison,
    CumulativeType,
    Direction,
    GrainMode,
    MetricType,
    NumClass,
    SemiAdditiveFunction,
    TimeGrain,
    WindowFunction,
)
from sagitta_compiler.query.document import ColumnReference, FilterDocument, QueryDocument

_AGGREGATION_SYNONYMS = {
    "agg": "measure",
    "aggregate": "measure",
    "stddev_samp": "stddev",
    "var_samp": "variance",
    "average": "avg",
    "quantile": "percentile",
}


def _folded(value: Any) -> Any:
    return value.strip().lower() if isinstance(value, str) else value


def _text_value(value: Any) -> Any:
    """Reads a discriminator value, which may look like a number, as the text that it is."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


class _QueryShape:
    """Shows a query's own JSON Schema where a query is kept as it was written."""

    def __get_pydantic_json_schema__(self, _schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return handler(QueryDocument.__pydantic_core_schema__)


Filters = Annotated[tuple[FilterDocument, ...], OneOrMany()]


class CustomExtensionDocument(DocumentNode):
    """Opaque data of a vendor."""

    vendor: str
    """Whose data it is."""
    data: str
    """The data, usually JSON text."""


class AboutDocument(DocumentNode):
    """What can be said about any artefact."""

    description: str | None = None
    """What it is."""
    owner: str | None = None
    """Who answers for it."""
    synonyms: Texts = ()
    """Other names by which people look for it."""
    custom_extensions: tuple[CustomExtensionDocument, ...] = ()
    """Opaque data of vendors."""


class ColumnDocument(AboutDocument):
    """A column: physical (`code`) or computed (`expression`)."""

    may_be_empty: ClassVar = True
    code: str | None = None
    """The physical column; by default the column's own name."""
    expression: str | None = None
    """A computed column's formula over `{Column}` and `{[Data Object].[Column]}`."""
    abstract_type: AbstractType = AbstractType.STRING
    """The type of its values."""
    sql_type: str | None = None
    """The warehouse's type, for information."""
    sql_precision: Annotated[Whole, Field(ge=1)] | None = None
    """Decimal digits in all; with `sqlScale` it widens inferred casts."""
    sql_scale: Annotated[Whole, Field(ge=0)] | None = None
    """Decimal digits after the point."""
    num_class: NumClass | None = None
    """How a numeric column may be aggregated."""
    primary_key: Flag = False
    """Whether the column is (part of) the primary key."""
    comment: str | None = None
    """The comment in the warehouse."""


class JoinDocument(DocumentNode):
    """An equality join from this data object to another."""

    join_type: Cardinality
    """The cardinality, seen from this object."""
    join_to: str
    """The data object joined to."""
    columns_from: Texts = ()
    """Columns of this object, by label."""
    columns_to: Texts = ()
    """Columns of the other object, pairwise."""
    secondary: Flag = False
    """An alternative path, taken only when a query names it."""
    path_name: str | None = None
    """The name of a secondary join."""
    required: Flag = False
    """Whether rows without a partner are dropped (an inner join)."""


class NestedInDocument(DocumentNode):
    """Rows from an array column of a parent."""

    data_object: str
    """The parent."""
    column: str
    """Its array column; dotted to reach into a struct."""


class RefreshDocument(DocumentNode):
    """How fresh the data of an object are."""

    mode: str
    """`interval`, `heartbeat` or `static`."""
    interval: str | None = None
    """How often the data are loaded: `15m`, `1d`, `PT1H`."""
    anchor: str | None = None
    """The time of day from which the intervals count, `HH:MM`."""
    timezone: str = "UTC"
    """The anchor's time zone."""
    max_staleness: str | None = None
    """How old a result may be without a heartbeat."""


class UnionMemberDocument(DocumentNode):
    """A member of a union."""

    bare: ClassVar = "dataObject"
    data_object: str
    """The member."""
    value: Annotated[
        str | None, BeforeValidator(_text_value), WithJsonSchema({"type": ["string", "number", "null"]})
    ] = None
    """Its value of the discriminator; by default its name."""
    columns: dict[str, str] = Field(default={})
    """The union's columns to the member's; by default equal names."""


class RowPolicyDocument(DocumentNode):
    """Which rows of a data object a caller sees, whatever is asked."""

    other_spellings: ClassVar = {"filter": "filters"}
    filters: Filters = ()
    """What the rows must pass; fields are columns of the object, `{claims.NAME}` is what the caller's token says."""
    exempt_roles: Texts = ()
    """Callers with one of these roles see every row."""


class DataObjectDocument(AboutDocument):
    """Rows with named columns: a table, an unnested array, a query or a union."""

    code: str | None = None
    """The table or view."""
    database: str | None = None
    """Its database or catalog."""
    schema_: str | None = Field(default=None, alias="schema")
    """Its schema or data set."""
    columns: dict[str, ColumnDocument] = Field(default={})
    """The columns by label."""
    joins: tuple[JoinDocument, ...] = ()
    """Joins to other data objects."""
    nested_in: NestedInDocument | None = None
    """Unnests an array column of another object."""
    query: Annotated[dict[str, Any], _QueryShape()] | None = None
    """A derived data object: the rows of this query; `columns` name its output labels by `code`."""
    union_of: tuple[UnionMemberDocument, ...] | None = None
    """A union of data objects."""
    discriminator: str | None = None
    """The union's column that tells the members apart."""
    refresh: RefreshDocument | None = None
    """The freshness contract."""
    row_policy: RowPolicyDocument | None = None
    """Which rows a caller sees."""
    countable: Flag = True
    """Whether a row count is synthesised."""
    count_label: str | None = None
    """The name of that measure."""
    comment: str | None = None
    """The comment in the warehouse."""


class DimensionDocument(AboutDocument):
    """A column to group by."""

    data_object: str
    """The data object."""
    column: str
    """The column."""
    result_type: AbstractType = AbstractType.STRING
    """The type of the result, for information."""
    time_grain: TimeGrain | None = None
    """The period to which a time is truncated."""
    via: str | None = None
    """The data object through which the join path must go."""
    format: str | None = None
    """The display pattern."""


class GrainDocument(DocumentNode):
    """A change of the dimensions by which a measure is grouped."""

    mode: Annotated[GrainMode, AnyCase(str.upper)] = GrainMode.RELATIVE
    """`RELATIVE` starts from the query's dimensions, `FIXED` from none."""
    exclude: Texts = ()
    """Dimensions to take away."""
    include: Texts = ()
    """Dimensions to add."""
    keep_only: Texts = ()
    """The only dimensions to keep."""


class FilterContextDocument(DocumentNode):
    """A change of the filters that apply to a measure."""

    mode: Annotated[GrainMode, AnyCase(str.upper)] = GrainMode.RELATIVE
    """`RELATIVE` starts from the query's filters, `FIXED` from none."""
    exclude: Texts = ()
    """Fields whose filters are taken away."""
    keep_only: Texts = ()
    """The only fields whose filters are kept."""
    include: Filters = ()
    """Filters to add."""


class WithinGroupDocument(DocumentNode):
    """The order inside a `listagg`."""

    column: ColumnReference
    """The column to order by."""
    order: Annotated[Direction, AnyCase()] = Direction.ASC
    """`ASC` or `DESC`."""


class NamedColumn(DocumentNode):
    """A dimension, or a column of a data object."""

    bare: ClassVar = "dimension"
    dimension: str | None = None
    """The dimension."""
    data_object: str | None = None
    """The data object of `column`."""
    column: str | None = None
    """The column."""


class SemiAdditiveDocument(DocumentNode):
    """A measure that adds up over everything but time."""

    time_dimension: NamedColumn
    """What orders the points in time: a dimension, or a column."""
    function: Annotated[SemiAdditiveFunction, AnyCase()] = SemiAdditiveFunction.LAST
    """Which point in time of an entity counts."""
    per: tuple[NamedColumn, ...] = ()
    """What tells the entities apart."""


class MeasureDocument(AboutDocument):
    """An aggregation."""

    other_spellings: ClassVar = {"filter": "filters"}
    aggregation: Annotated[Aggregation, AnyCase(synonyms=_AGGREGATION_SYNONYMS)] = Aggregation.SUM
    """The aggregate function."""
    columns: tuple[ColumnReference, ...] = ()
    """Its arguments."""
    expression: str | None = None
    """Its argument as a formula; with `{[Measure]}` it aggregates those measures again."""
    result_type: AbstractType = AbstractType.FLOAT
    """The type of the result; `int` makes sums whole numbers."""
    distinct: Flag = False
    """Whether equal values count once."""
    total: Flag = False
    """A grand total."""
    grain: GrainDocument | None = None
    """A change of the grouping."""
    filter_context: FilterContextDocument | None = None
    """A change of the filters that apply."""
    filters: Filters = ()
    """Filters of its own."""
    allow_fan_out: Flag = False
    """Accept that joins multiply its rows."""
    default_value: ScalarValue = None
    """The value where there is none."""
    delimiter: str = ","
    """What separates the members of a `listagg`."""
    within_group: WithinGroupDocument | None = None
    """The order inside a `listagg`."""
    percentile: Annotated[float, Field(ge=0, le=1)] | None = None
    """Which percentile, between 0 and 1."""
    percentile_type: Annotated[str | None, BeforeValidator(_folded)] = None
    """`continuous` (interpolated, the default) or `discrete` (a value of the data)."""
    semi_additive: SemiAdditiveDocument | None = None
    """How the measure treats time, if it does not add up over it."""
    over: Texts = ()
    """Further dimensions at which the inner measures of a nested aggregation are evaluated."""
    data_type: str | None = None
    """The type to which the result is cast."""
    anchor: str | None = None
    """The data object whose grain an expression over several facts takes."""
    format: str | None = None
    """The display pattern."""


class PeriodOverPeriodDocument(DocumentNode):
    """A comparison with another period."""

    time_dimension: str
    """The time dimension along which periods are compared."""
    grain: TimeGrain
    """The grain of the periods."""
    offset: Whole = -1
    """How many `offsetGrain`s away the other period is."""
    offset_grain: TimeGrain
    """The unit of the offset."""
    comparison: Comparison = Comparison.PERCENT_CHANGE
    """What is reported about the two periods."""


class MetricDocument(AboutDocument):
    """A figure made of measures and metrics."""

    type: MetricType = MetricType.DERIVED
    """The kind of metric."""
    expression: str | None = None
    """The formula over `{[Measure]}` (derived, period over period)."""
    measure: str | None = None
    """The measure or metric that it is made of (cumulative, window)."""
    time_dimension: str | None = None
    """The time dimension (cumulative, window)."""
    cumulative_type: Annotated[CumulativeType, AnyCase()] = CumulativeType.SUM
    """The aggregate that runs (cumulative)."""
    window: Annotated[Whole, Field(ge=1)] | None = None
    """The number of periods of a rolling window (cumulative)."""
    grain_to_date: TimeGrain | None = None
    """The period at whose start the running value begins anew (cumulative)."""
    period_over_period: PeriodOverPeriodDocument | None = None
    """The comparison (period over period)."""
    window_function: WindowFunction | None = None
    """The function (window)."""
    offset: Whole | None = None
    """How many rows away (lag, lead)."""
    buckets: Whole | None = None
    """The number of buckets (ntile)."""
    order_direction: Annotated[Direction, AnyCase()] = Direction.DESC
    """The order of ranks (window)."""
    default_value: ScalarValue = None
    """The value where the shifted row is missing (lag, lead)."""
    partition_by: Texts | None = None
    """Dimensions within which the value starts anew (cumulative, window)."""
    data_type: str | None = None
    """The type to which the result is cast."""
    format: str | None = None
    """The display pattern."""


class SettingsDocument(DocumentNode):
    """The model's settings."""

    keep_null: ClassVar = True
    default_numeric_data_type: str | None = None
    """The `decimal(p, s)` to which sums and averages are cast."""
    default_timezone: str | None = None
    """The zone of timestamps without one."""
    override_database_timezone: Flag = False
    """Whether that zone beats the database's."""
    default_dialect: str | None = None
    """The dialect of a request that names none."""
    default_locale: str | None = None
    """The locale for formatted values, as a BCP 47 tag."""
    expression_mode: str = "permissive"
    """`permissive` passes functions outside the catalogue on, `portable` refuses them."""
    query_timezone: str | None = None
    """The zone to which timestamps are converted."""
    week_start: str = "monday"
    """`monday` or `sunday`."""
    fiscal_year_start: Annotated[Whole, Field(ge=1, le=12)] = 1
    """The month in which the fiscal year begins."""


class ExampleDocument(DocumentNode):
    """A canonical query."""

    name: str
    """Its name."""
    description: str
    """The question it answers."""
    intent_tags: Texts = ()
    """What it is about."""
    query: Annotated[dict[str, Any], _QueryShape()]
    """The query."""


class ModelDocument(DocumentNode):
    """A model: what the data mean."""

    version: float = 1.0
    """The version of the language."""
    name: str | None = None
    """The name by which the model is addressed."""
    description: str | None = None
    """What the model is about."""
    owner: str | None = None
    """Who answers for it."""
    settings: SettingsDocument = SettingsDocument()
    """Settings."""
    data_objects: dict[str, DataObjectDocument] = Field(default={})
    """The data objects by name."""
    dimensions: dict[str, DimensionDocument] = Field(default={})
    """The dimensions by name."""
    measures: dict[str, MeasureDocument] = Field(default={})
    """The measures by name."""
    metrics: dict[str, MetricDocument] = Field(default={})
    """The metrics by name."""
    filters: Filters = ()
    """Filters that apply to every query."""
    examples: tuple[ExampleDocument, ...] = ()
    """Canonical queries."""
    expose_counts: Annotated[bool, Strict()] = True
    """Whether a row count is synthesised for every data object."""
    count_label_pattern: str = "{object} Count"
    """How those are named."""
    extends: Texts = ()
    """Fragments to merge into the model."""
    inherits: str | None = None
    """The model whose data objects this one uses."""
    custom_extensions: tuple[CustomExtensionDocument, ...] = ()
    """Opaque data of vendors."""
