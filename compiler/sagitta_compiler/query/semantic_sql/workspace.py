"""The model that a statement asks: the stored one and the computed columns that the statement defines.

A scalar expression over dimensions of one data object, used to group or to filter, becomes a computed column of that
object for this statement. It is then planned like any column, so every measure keeps its value, additive or not.
"""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import Any

from sqlglot import exp
from sqlglot.errors import ErrorLevel, UnsupportedError
from sqlglot.optimizer.annotate_types import annotate_types

from sagitta_compiler.model.resolved import Column, ColumnRef, Dimension, Expression, Measure, ResolvedModel
from sagitta_compiler.model.types import AbstractType, Aggregation, TimeGrain
from sagitta_compiler.query.semantic_sql.catalog import ColumnKind
from sagitta_compiler.query.semantic_sql.literals import cast_kind
from sagitta_compiler.query.semantic_sql.names import Item
from sagitta_compiler.query.semantic_sql.reading import refused

_PLAIN_GRAINS = frozenset(
    {
        TimeGrain.YEAR,
        TimeGrain.QUARTER,
        TimeGrain.MONTH,
        TimeGrain.DAY,
        TimeGrain.HOUR,
        TimeGrain.MINUTE,
        TimeGrain.SECOND,
    }
)
_SQL_TYPES = {
    AbstractType.STRING: "text",
    AbstractType.JSON: "text",
    AbstractType.INT: "bigint",
    AbstractType.FLOAT: "double",
    AbstractType.DATE: "date",
    AbstractType.TIME: "time",
    AbstractType.TIME_TZ: "time",
    AbstractType.TIMESTAMP: "timestamp",
    AbstractType.TIMESTAMP_TZ: "timestamptz",
    AbstractType.BOOLEAN: "boolean",
}
_TYPES: dict[type[exp.Expr], AbstractType] = {
    exp.Left: AbstractType.STRING,
    exp.Right: AbstractType.STRING,
    exp.TimeToStr: AbstractType.STRING,
    exp.SplitPart: AbstractType.STRING,
    exp.RegexpReplace: AbstractType.STRING,
    exp.RegexpExtract: AbstractType.STRING,
    exp.Pad: AbstractType.STRING,
    exp.Replace: AbstractType.STRING,
    exp.Reverse: AbstractType.STRING,
    exp.Repeat: AbstractType.STRING,
    exp.Extract: AbstractType.INT,
}
"""The types of functions whose type sqlglot does not tell."""
ITEM = "item"
"""Key of `Expression.meta` of a column: what it refers to."""


class Workspace:
    """Collects what one SELECT adds to its model."""

    def __init__(self, model: ResolvedModel) -> None:
        self.model = model
        self._columns: dict[str, dict[str, Column]] = {}
        self._dimensions: dict[str, Dimension] = {}
        self._measures: dict[str, Measure] = {}
        self._computed: dict[str, str] = {}

    @property
    def is_extended(self) -> bool:
        return bool(self._dimensions or self._measures)

    def result(self) -> ResolvedModel:
        """Returns the model with everything that was added."""
        if not self.is_extended:
            return self.model
        objects = dict(self.model.objects)
        for name, added in self._columns.items():
            objects[name] = replace(objects[name], columns=MappingProxyType({**objects[name].columns, **added}))
        return replace(
            self.model,
            objects=MappingProxyType(objects),
            dimensions=MappingProxyType({**self.model.dimensions, **self._dimensions}),
            measures=MappingProxyType({**self.model.measures, **self._measures}),
        )

    def dimension(self, tree: exp.Expr) -> Item:
        """Returns a dimension for a scalar expression whose columns carry their items.

        Raises:
            CompileError: its columns lie on several objects, or its type cannot be told.
        """
        key = written(tree)
        if key not in self._computed:
            self._computed[key] = self._add(tree, f"_{len(self._computed) + 1}")
        dimension = self._dimensions[self._computed[key]]
        return Item(ColumnKind.DIMENSION, dimension.name, dimension.result_type)

    def _add(self, tree: exp.Expr, name: str) -> str:
        places = {self._place(item) for item in items(tree)}
        if len(places) != 1:
            raise refused(
                "UNSUPPORTED_SQL_FEATURE",
                f"{readable(tree)} mixes dimensions of several data objects.",
                "Group by each dimension, and combine them in an outer SELECT.",
            )
        (data_object, via), kind = next(iter(places)), self._type(tree)
        expression = self._expression(tree)
        column = Column(name, "", kind, expression)
        self._columns.setdefault(data_object, {})[name] = column
        self._dimensions[name] = Dimension(name, data_object, name, kind, via=via)
        return name

    def _place(self, item: Item) -> tuple[str, str | None]:
        """The object on which a dimension or a raw column lies, and the way to it."""
        if item.kind is ColumnKind.FIELD:
            return item.object, None
        dimension = self.model.dimensions[item.name]
        return dimension.object, dimension.via

    def _expression(self, tree: exp.Expr) -> Expression:
        copied: Any = tree.copy()
        refs: list[ColumnRef] = []
        for column in list(copied.find_all(exp.Column)):
            source = self._source(column.meta[ITEM], refs)
            copied = source if column is copied else (column.replace(source) and copied)
        return Expression(written(tree), copied, tuple(dict.fromkeys(refs)))

    def _source(self, item: Item, refs: list[ColumnRef]) -> exp.Expr:
        """The raw column, or the one behind a dimension, truncated where the dimension is."""
        if item.kind is ColumnKind.FIELD:
            refs.append(ColumnRef(item.object, item.column))
            return exp.column(item.column, table=item.object, quoted=True)
        dimension = self.model.dimensions[item.name]
        refs.append(dimension.ref)
        column = exp.column(dimension.column, table=dimension.object, quoted=True)
        grain = item.grain or dimension.time_grain
        if grain is None:
            return column
        if grain not in _PLAIN_GRAINS:
            raise refused(
                "UNSUPPORTED_SQL_FEATURE", f"An expression over {item.name!r} at the grain {grain} is not possible."
            )
        return exp.TimestampTrunc(this=column, unit=exp.var(grain.value.upper()))

    def _type(self, tree: exp.Expr) -> AbstractType:
        typed = tree.copy()
        for column in list(typed.find_all(exp.Column)):
            sample = exp.cast(exp.Null(), _SQL_TYPES[column.meta[ITEM].type])
            typed = sample if column is typed else (column.replace(sample) and typed)
        found = annotate_types(typed, dialect="duckdb").type
        kind = _TYPES.get(type(tree)) or (cast_kind(found) if found is not None else None)
        if kind is None:
            raise refused(
                "UNSUPPORTED_SQL_FEATURE",
                f"The type of {readable(tree)} is not known.",
                "Say it: CAST(... AS VARCHAR), for instance.",
            )
        return kind

    def over_dimension(self, aggregation: Aggregation, item: Item) -> str:
        """Adds a measure over a dimension's column: a distinct count, a minimum or a maximum."""
        dimension = self.model.dimensions.get(item.name) or self._dimensions[item.name]
        if dimension.via is not None:
            raise refused(
                "UNSUPPORTED_SQL_FEATURE",
                f"{item.name!r} is a role; an aggregate over it is not possible.",
                "Define a measure for it in the model.",
            )
        name = f"_{aggregation.value}_{dimension.object}_{dimension.column}"
        self._measures[name] = Measure(
            name,
            aggregation,
            columns=(dimension.ref,),
            result_type=AbstractType.INT if aggregation is Aggregation.COUNT_DISTINCT else dimension.result_type,
        )
        return name


def items(tree: exp.Expr) -> list[Item]:
    """Returns what the columns of a tree refer to, each once."""
    return list(dict.fromkeys(column.meta[ITEM] for column in tree.find_all(exp.Column) if ITEM in column.meta))


def written(tree: exp.Expr, *, normalize: bool = False) -> str:
    """Returns the whole of a tree as text.

    Raises:
        CompileError: a part of it has no text in the dialect, and two different trees could look alike.
    """
    try:
        return tree.sql(dialect="duckdb", normalize=normalize, unsupported_level=ErrorLevel.RAISE)
    except UnsupportedError as error:
        raise refused("UNSUPPORTED_SQL_FEATURE", f"{readable(tree)} cannot be evaluated on a model.") from error


def readable(tree: exp.Expr) -> str:
    """Returns a tree as a person would write it."""
    return tree.sql(dialect="duckdb", unsupported_level=ErrorLevel.IGNORE)
