"""The models as a client of SQL sees them: schemas, tables and columns.

A schema per model. In it: the virtual table `model` with every dimension, measure and metric; the views `dimensions`,
`measures` and `metrics` with the columns of one kind; a base table for each data object; and three metadata views.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from sagitta_compiler.model.resolved import DataObject, Dimension, Measure, ResolvedModel
from sagitta_compiler.model.types import AbstractType, DataType
from sagitta_compiler.plan.typing import COUNTS, column_type, kept_type, shown_type

MODEL_TABLE = "model"


class ColumnKind(StrEnum):
    """What a column of a table stands for."""

    DIMENSION = "dimension"
    MEASURE = "measure"
    METRIC = "metric"
    FIELD = "field"


class TableKind(StrEnum):
    """What a table stands for; the value is its table type in the catalog."""

    MODEL = "TABLE"
    VIEW = "VIEW"
    OBJECT = "BASE TABLE"
    METADATA = "SYSTEM TABLE"


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A column: `name` is the label, `type` its kind of values, `data_type` the declared result type."""

    name: str
    kind: ColumnKind
    type: AbstractType
    data_type: DataType | None = None
    description: str | None = None
    nullable: bool = True


@dataclass(frozen=True, slots=True)
class Table:
    """A table of a model's schema."""

    schema: str
    name: str
    kind: TableKind
    columns: tuple[TableColumn, ...]
    description: str | None = None


@dataclass(frozen=True)
class SqlCatalog:
    """The models that a caller may query, by schema name. `default` is the schema of unqualified names."""

    name: str
    models: Mapping[str, ResolvedModel]
    default: str | None = None

    def model(self, schema: str) -> tuple[str, ResolvedModel] | None:
        """Returns a model by its schema name, ignoring case when that leaves one only."""
        if schema in self.models:
            return schema, self.models[schema]
        found = [name for name in self.models if name.casefold() == schema.casefold()]
        return (found[0], self.models[found[0]]) if len(found) == 1 else None

    @property
    def default_schema(self) -> str | None:
        """The schema of unqualified names: the chosen one, else the only one."""
        if self.default is not None:
            return self.default
        return next(iter(self.models)) if len(self.models) == 1 else None

    def table(self, schema: str, name: str) -> Table | None:
        """Returns a table of a model; without a schema one of the default model, or the virtual table of a model.

        The name of the default schema is its virtual table, also when a data object differs from it in case alone.
        """
        if not schema:
            default = self.default_schema
            if default and name != default and (found := self.table(default, name)):
                return found
            schema, name = name, MODEL_TABLE
        of = self.model(schema)
        return table_named(of[0], of[1], name) if of is not None else None


def tables(schema: str, model: ResolvedModel) -> Iterator[Table]:
    """Yields the tables of a model, sorted by name; a data object never hides a virtual table."""
    found = {table.name: table for table in _objects(schema, model)}
    found.update((table.name, table) for table in _virtual(schema, model))
    found.update((table.name, table) for table in metadata_tables(schema))
    for name in sorted(found):
        yield found[name]


def table_named(schema: str, model: ResolvedModel, name: str) -> Table | None:
    """Returns a table by name; an exact name wins over one in another case."""
    every = tuple(tables(schema, model))
    exact = [table for table in every if table.name == name]
    folded = exact or [table for table in every if table.name.casefold() == name.casefold()]
    return folded[0] if len(folded) == 1 else None


def _virtual(schema: str, model: ResolvedModel) -> Iterator[Table]:
    dimensions, measures, metrics = dimension_columns(model), measure_columns(model), metric_columns(model)
    about = model.about.description
    yield Table(schema, MODEL_TABLE, TableKind.MODEL, (*dimensions, *measures, *metrics), about)
    yield Table(schema, "dimensions", TableKind.VIEW, dimensions)
    yield Table(schema, "measures", TableKind.VIEW, measures)
    yield Table(schema, "metrics", TableKind.VIEW, metrics)


def dimension_columns(model: ResolvedModel) -> tuple[TableColumn, ...]:
    """Returns the dimensions as columns, of the types that their members have."""
    return tuple(_dimension(model, dimension) for dimension in model.dimensions.values())


def _dimension(model: ResolvedModel, dimension: Dimension) -> TableColumn:
    column = model.column(dimension.ref)
    digits = column_type(column) if dimension.time_grain is None else None
    return TableColumn(dimension.name, ColumnKind.DIMENSION, column.type, digits, dimension.about.description)


def measure_columns(model: ResolvedModel) -> tuple[TableColumn, ...]:
    """Returns the measures as columns."""
    return tuple(
        TableColumn(m.name, ColumnKind.MEASURE, measure_type(model, m), shown_type(model, m.name), m.about.description)
        for m in model.measures.values()
    )


def measure_type(model: ResolvedModel, measure: Measure) -> AbstractType:
    """Returns the kind of values of a measure; counts are whole numbers, picked values those of their column."""
    counted = AbstractType.INT if measure.aggregation in COUNTS else measure.result_type
    return kept_type(model, measure) or counted


def metric_columns(model: ResolvedModel) -> tuple[TableColumn, ...]:
    """Returns the metrics as columns."""
    return tuple(
        TableColumn(m.name, ColumnKind.METRIC, AbstractType.FLOAT, shown_type(model, m.name), m.about.description)
        for m in model.metrics.values()
    )


def _objects(schema: str, model: ResolvedModel) -> Iterator[Table]:
    for data_object in model.objects.values():
        yield Table(
            schema, data_object.name, TableKind.OBJECT, object_columns(data_object), data_object.about.description
        )


def object_columns(data_object: DataObject) -> tuple[TableColumn, ...]:
    """Returns the columns of a data object."""
    return tuple(
        TableColumn(
            c.name,
            ColumnKind.FIELD,
            c.type,
            column_type(c),
            c.about.description,
            nullable=not c.primary_key,
        )
        for c in data_object.columns.values()
    )


_TEXT = AbstractType.STRING
_METADATA: Mapping[str, tuple[tuple[str, AbstractType], ...]] = {
    "_dimensions_metadata": tuple(
        (name, _TEXT) for name in ("name", "data_object", "column", "type", "time_grain", "description")
    ),
    "_measures_metadata": tuple(
        (name, _TEXT) for name in ("name", "aggregation", "expression", "type", "columns", "description")
    ),
    "_metrics_metadata": (
        *((name, _TEXT) for name in ("name", "metric_type", "expression", "measure", "time_dimension", "time_grain")),
        ("window", AbstractType.INT),
        ("grain_to_date", _TEXT),
        ("description", _TEXT),
    ),
}


def metadata_tables(schema: str) -> Iterator[Table]:
    """Yields the metadata views of a schema."""
    for name, columns in _METADATA.items():
        listed = tuple(TableColumn(column, ColumnKind.FIELD, kind) for column, kind in columns)
        yield Table(schema, name, TableKind.METADATA, listed)


def metadata_rows(model: ResolvedModel, view: str) -> list[tuple[object, ...]]:
    """Returns the rows of a metadata view, in the order of its columns."""
    match view:
        case "_dimensions_metadata":
            return [
                (d.name, d.object, d.column, d.result_type.value, d.time_grain, d.about.description)
                for d in model.dimensions.values()
            ]
        case "_measures_metadata":
            return [_measure_row(m) for m in model.measures.values()]
        case _:
            return [
                (
                    m.name,
                    m.type.value,
                    expression.text if (expression := getattr(m, "expression", None)) is not None else None,
                    getattr(m, "measure", None),
                    getattr(m, "time_dimension", None),
                    getattr(m, "grain", None),
                    getattr(m, "window", None),
                    getattr(m, "grain_to_date", None),
                    m.about.description,
                )
                for m in model.metrics.values()
            ]


def _measure_row(measure: Measure) -> tuple[object, ...]:
    return (
        measure.name,
        measure.aggregation.value,
        measure.expression.text if measure.expression is not None else None,
        str(measure.data_type or measure.result_type.value),
        ", ".join(str(column) for column in measure.columns),
        measure.about.description,
    )


def table_columns(model: ResolvedModel, schema: str, name: str) -> tuple[TableColumn, ...]:
    """Returns the columns of a table that exists."""
    found = table_named(schema, model, name)
    assert found is not None
    return found.columns
