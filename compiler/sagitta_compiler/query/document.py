"""The query as written: the QueryObject's JSON or YAML mapping, in either spelling."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field, WithJsonSchema

from sagitta_compiler.documents import AnyCase, DocumentNode, Flag, OneOrMany, Whole
from sagitta_compiler.model.types import Direction
from sagitta_compiler.query.query import Grouping, Logic, NullsOrder

MAX_ROWS = 2**63 - 1
"""The largest limit or offset: what fits a 64-bit integer."""


class ColumnReference(DocumentNode):
    """A column of a data object, by their labels."""

    bare: ClassVar = "column"
    data_object: str | None = None
    """The data object."""
    column: str | None = None
    """The column."""


OPERAND_SCHEMA: dict[str, Any] = {
    "description": "A value, a list of values, or the mapping of a relative period.",
    "anyOf": [
        {"type": ["string", "number", "boolean", "null"]},
        {"type": "array", "items": {"type": ["string", "number", "boolean", "null", "object"]}},
        {"type": "object"},
    ],
}


MAX_ROWS = 2**63 - 1
"""The largest row count that warehouses take."""


class SubqueryDocument(DocumentNode):
    """The target of `exists` and `nonexists`."""

    other_spellings: ClassVar = {"filters": "filter"}
    data_object: str
    """The data object whose rows must (or must not) exist."""
    path_name: str | None = None
    """The secondary join to take."""
    filter: Annotated[tuple[FilterDocument, ...], OneOrMany()] = ()
    """Filters on those rows."""


class FilterDocument(DocumentNode):
    """A predicate, or a group of predicates (with `filters`)."""

    other_spellings: ClassVar = {"op": "operator"}
    keep_null: ClassVar = True
    field: str | None = None
    """A dimension, a measure or metric (in `having`), or `Data Object.Column`."""
    data_object: str | None = None
    """The data object of `column`, instead of `field`."""
    column: ColumnReference | None = None
    operator: str | None = None
    """The operator, in any of its spellings."""
    value: Annotated[Any, WithJsonSchema(OPERAND_SCHEMA)] = None
    """The operand."""
    values: Annotated[Any, WithJsonSchema(OPERAND_SCHEMA)] = None
    """The operands, as a list; in models also typed (`{dataType: string, valueString: x}`)."""
    subquery: SubqueryDocument | None = None
    """The target of `exists` and `nonexists`."""
    logic: Annotated[Logic | None, AnyCase()] = None
    """How the members of a group combine; `and` by default."""
    filters: tuple[FilterDocument, ...] | None = None
    """The members of a group; an `or` of none holds for no row."""
    negated: Flag | None = None
    """Whether the group is negated."""


class DimensionItemDocument(DocumentNode):
    """A selected dimension, or several as one (`coalesce`)."""

    bare: ClassVar = "dimension"
    dimension: str | None = None
    """The dimension's name, perhaps with a grain: `Order Date:month`."""
    grain: str | None = None
    """The time grain."""
    coalesce: tuple[str, ...] | None = None
    """Dimensions of which the first that is not NULL is taken."""
    alias: str | None = Field(default=None, alias="as")
    """The output label."""


class MeasureItemDocument(DocumentNode):
    """A selected measure or metric."""

    bare: ClassVar = "measure"
    other_spellings: ClassVar = {"filters": "filter", "metric": "measure"}
    measure: str
    """The measure's or metric's name."""
    filter: Annotated[tuple[FilterDocument, ...], OneOrMany()] = ()
    """Filters that narrow it in this query only."""
    alias: str | None = Field(default=None, alias="as")
    """The output label."""


class FieldItemDocument(DocumentNode):
    """A selected raw column."""

    bare: ClassVar = "field"
    field: str
    """`Data Object.Column`."""
    alias: str | None = Field(default=None, alias="as")
    """The output label."""


class SelectDocument(DocumentNode):
    """What a query asks for: dimensions and measures, or raw fields."""

    dimensions: tuple[DimensionItemDocument, ...] = ()
    """Dimensions to group by."""
    measures: tuple[MeasureItemDocument, ...] = ()
    """Measures and metrics."""
    fields: tuple[FieldItemDocument, ...] = Field(default=(), alias="fields")
    """Raw columns; then neither dimensions nor measures."""
    distinct: Flag = False
    """Whether raw rows are returned once each."""


class OrderDocument(DocumentNode):
    """A sort key."""

    field: str | Whole
    """An output label, or its 1-based position."""
    direction: Annotated[Direction, AnyCase()] = Direction.ASC
    """`asc` or `desc`."""
    nulls: Annotated[NullsOrder | None, AnyCase()] = None
    """Where NULLs go."""


class PathNameDocument(DocumentNode):
    """A secondary join to take instead of the primary one."""

    source: str
    """The declaring data object."""
    target: str
    """The data object it joins to."""
    path_name: str
    """The join's `pathName`."""


class QueryDocument(DocumentNode):
    """A query: what to select, under which filters, in which order."""

    select: SelectDocument
    """What to return."""
    where: Annotated[tuple[FilterDocument, ...], OneOrMany()] = ()
    """Filters before aggregation, joined by AND."""
    having: Annotated[tuple[FilterDocument, ...], OneOrMany()] = ()
    """Filters on the finished rows, joined by AND."""
    order_by: Annotated[tuple[OrderDocument, ...], OneOrMany()] = ()
    """Sort keys."""
    limit: Annotated[Whole, Field(ge=0, le=MAX_ROWS)] | None = None
    """The number of rows to return."""
    offset: Annotated[Whole, Field(ge=0, le=MAX_ROWS)] | None = None
    """The number of rows to skip."""
    use_path_names: Annotated[tuple[PathNameDocument, ...], OneOrMany()] = ()
    """Secondary joins to take."""
    dimensions_exclude: Flag = False
    """Return the combinations of members that do not occur."""
    allow_fan_out: Flag = False
    """Silences the warning about mixed grains."""
    grouping: Annotated[Grouping | None, AnyCase()] = None
    """Adds the levels of subtotals."""
