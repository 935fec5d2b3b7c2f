"""What the metadata commands answer, from the models alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import pyarrow as pa
from google.protobuf.message import Message
from sagitta.flight.sql import FlightSql_pb2 as fs
from sagitta_compiler.model.resolved import Join, ResolvedModel
from sagitta_compiler.model.types import AbstractType
from sagitta_compiler.query.semantic_sql import SqlCatalog, Table, TableColumn, TableKind, tables

from sagitta_server.execution.conform import arrow_type
from sagitta_server.flight import schemas
from sagitta_server.flight.sql_info import sql_info
from sagitta_server.flight.type_info import column_metadata, type_info

_NO_ACTION = 3
_ARROW: dict[AbstractType, Any] = {
    AbstractType.STRING: pa.string(),
    AbstractType.JSON: pa.string(),
    AbstractType.INT: pa.int64(),
    AbstractType.FLOAT: pa.float64(),
    AbstractType.DATE: pa.date32(),
    AbstractType.TIME: pa.time64("us"),
    AbstractType.TIME_TZ: pa.time64("us"),
    AbstractType.TIMESTAMP: pa.timestamp("us"),
    AbstractType.TIMESTAMP_TZ: pa.timestamp("us", "UTC"),
    AbstractType.BOOLEAN: pa.bool_(),
}


def metadata_schema(command: Message) -> Any | None:
    """Returns the schema of a metadata command's answer; None for a command of another kind."""
    match command:
        case fs.CommandGetTables():
            return schemas.TABLES_WITH_SCHEMA if command.include_schema else schemas.TABLES
        case _:
            return _SCHEMAS.get(type(command))


_SCHEMAS: dict[type[Message], Any] = {
    fs.CommandGetSqlInfo: schemas.SQL_INFO,
    fs.CommandGetXdbcTypeInfo: schemas.TYPE_INFO,
    fs.CommandGetCatalogs: schemas.CATALOGS,
    fs.CommandGetDbSchemas: schemas.DB_SCHEMAS,
    fs.CommandGetTableTypes: schemas.TABLE_TYPES,
    fs.CommandGetPrimaryKeys: schemas.PRIMARY_KEYS,
    fs.CommandGetExportedKeys: schemas.FOREIGN_KEYS,
    fs.CommandGetImportedKeys: schemas.FOREIGN_KEYS,
    fs.CommandGetCrossReference: schemas.FOREIGN_KEYS,
}


def metadata(command: Message, catalog: SqlCatalog) -> Any:
    """Returns the rows of a metadata command's answer as a `pyarrow.Table`."""
    match command:
        case fs.CommandGetSqlInfo():
            return sql_info(tuple(command.info))
        case fs.CommandGetXdbcTypeInfo():
            return type_info(command.data_type if command.HasField("data_type") else None)
        case fs.CommandGetCatalogs():
            return _table(schemas.CATALOGS, [(catalog.name,)])
        case fs.CommandGetDbSchemas():
            return _table(schemas.DB_SCHEMAS, _schema_rows(command, catalog))
        case fs.CommandGetTables():
            return _tables(command, catalog)
        case fs.CommandGetTableTypes():
            return _table(schemas.TABLE_TYPES, [(kind.value,) for kind in sorted(TableKind)])
        case fs.CommandGetPrimaryKeys():
            return _table(schemas.PRIMARY_KEYS, _primary_keys(command, catalog))
        case fs.CommandGetImportedKeys():
            return _foreign_keys(catalog, lambda key: _is_side(command, catalog, key, "fk"))
        case fs.CommandGetExportedKeys():
            return _foreign_keys(catalog, lambda key: _is_side(command, catalog, key, "pk"))
        case fs.CommandGetCrossReference():
            return _foreign_keys(catalog, lambda key: _is_cross(command, catalog, key))
        case _:
            raise AssertionError(f"{command.DESCRIPTOR.full_name} is no metadata command")


def _table(schema: Any, rows: list[tuple[Any, ...]]) -> Any:
    columns = list(zip(*rows, strict=True)) or [() for _ in schema]
    return pa.table([pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)], schema=schema)


# tables


def _schema_rows(command: fs.CommandGetDbSchemas, catalog: SqlCatalog) -> list[tuple[Any, ...]]:
    if not _in_catalog(command, catalog):
        return []
    wanted = _pattern(command, "db_schema_filter_pattern")
    return [(catalog.name, name) for name in sorted(catalog.models) if wanted(name)]


def _in_catalog(command: Any, catalog: SqlCatalog, field: str = "catalog") -> bool:
    """No catalog means any; the empty one holds nothing; a model's name is taken for its schema by some tools."""
    if not command.HasField(field):
        return True
    name: str = getattr(command, field)
    return name.casefold() == catalog.name.casefold()


def _pattern(command: Any, field: str) -> Callable[[str], bool]:
    if not command.HasField(field):
        return lambda _: True
    return like(getattr(command, field))


def like(pattern: str) -> Callable[[str], bool]:
    """Returns the test of an SQL LIKE pattern with a backslash as its escape; `%` and `_` as usual."""
    return _like(pattern)


@lru_cache(maxsize=1024)
def _like(pattern: str) -> Callable[[str], bool]:
    import re  # noqa: PLC0415 - only patterns need it

    parts, characters = [], iter(pattern)
    for character in characters:
        match character:
            case "%":
                parts.append(".*")
            case "_":
                parts.append(".")
            case "\\":
                parts.append(re.escape(next(characters, "\\")))
            case _:
                parts.append(re.escape(character))
    compiled = re.compile("".join(parts), re.DOTALL)
    return lambda text: compiled.fullmatch(text) is not None


def _tables(command: fs.CommandGetTables, catalog: SqlCatalog) -> Any:
    found = list(_matching(command, catalog))
    rows: list[tuple[Any, ...]] = [(catalog.name, t.schema, t.name, t.kind.value) for t in found]
    if not command.include_schema:
        return _table(schemas.TABLES, rows)
    with_schema = [
        (*row, table_schema(catalog.name, table).serialize().to_pybytes())
        for row, table in zip(rows, found, strict=True)
    ]
    return _table(schemas.TABLES_WITH_SCHEMA, with_schema)


def _matching(command: fs.CommandGetTables, catalog: SqlCatalog) -> Iterator[Table]:
    if not _in_catalog(command, catalog):
        return
    schema, name = _pattern(command, "db_schema_filter_pattern"), _pattern(command, "table_name_filter_pattern")
    kinds = set(command.table_types)
    for model_name, model in sorted(catalog.models.items()):
        if not schema(model_name):
            continue
        for table in tables(model_name, model):
            if name(table.name) and (not kinds or table.kind.value in kinds):
                yield table


def table_schema(catalog: str, table: Table) -> Any:
    """Returns the Arrow schema of a table, with what clients read about its columns."""
    return pa.schema([_field(catalog, table, column) for column in table.columns])


def _field(catalog: str, table: Table, column: TableColumn) -> Any:
    field = pa.field(column.name, column_type(column), nullable=column.nullable)
    return field.with_metadata(column_metadata(catalog, table.schema, table.name, field, column.description))


def column_type(column: TableColumn) -> Any:
    """Returns the Arrow type of a column as the model declares it."""
    declared = arrow_type(column.data_type) if column.data_type is not None else None
    return declared or _ARROW[column.type]


def parameter_type(kind: AbstractType | None) -> Any:
    """Returns the Arrow type of a parameter; text where nothing tells its kind."""
    return _ARROW[kind] if kind is not None else pa.string()


# keys

_Key = tuple[str, Join]
"""A schema and one of its joins: a foreign key."""


def _primary_keys(command: fs.CommandGetPrimaryKeys, catalog: SqlCatalog) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = []
    for schema, model in _schemas_of(command, catalog):
        data_object = model.objects.get(command.table)
        for position, column in enumerate(data_object.primary_key if data_object else (), start=1):
            rows.append((catalog.name, schema, command.table, column, position, f"{command.table} key"))
    return rows


def _schemas_of(command: Any, catalog: SqlCatalog) -> Iterator[tuple[str, ResolvedModel]]:
    for name, model in sorted(catalog.models.items()):
        if _in_catalog(command, catalog) and (not command.HasField("db_schema") or command.db_schema == name):
            yield name, model


def _is_side(command: Any, catalog: SqlCatalog, key: _Key, side: str) -> bool:
    schema, join = key
    if not _in_catalog(command, catalog) or (command.HasField("db_schema") and command.db_schema != schema):
        return False
    return bool(command.table == (join.source if side == "fk" else join.target))


def _is_cross(command: fs.CommandGetCrossReference, catalog: SqlCatalog, key: _Key) -> bool:
    schema, join = key
    catalogs = _in_catalog(command, catalog, "pk_catalog") and _in_catalog(command, catalog, "fk_catalog")
    schemas_match = all(
        not command.HasField(name) or getattr(command, name) == schema for name in ("pk_db_schema", "fk_db_schema")
    )
    return catalogs and schemas_match and command.pk_table == join.target and command.fk_table == join.source


def _foreign_keys(catalog: SqlCatalog, wanted: Callable[[_Key], bool]) -> Any:
    rows: list[tuple[Any, ...]] = []
    for schema, model in sorted(catalog.models.items()):
        for join in model.joins:
            if wanted((schema, join)):
                rows.extend(_foreign_key(catalog.name, schema, join))
    rows.sort(key=lambda row: (row[4], row[5], row[6], row[9], row[8]))
    return _table(schemas.FOREIGN_KEYS, rows)


def _foreign_key(catalog: str, schema: str, join: Join) -> Iterator[tuple[Any, ...]]:
    name = join.path_name or f"{join.source} to {join.target}"
    for position, (source, target) in enumerate(zip(join.columns_from, join.columns_to, strict=True), start=1):
        yield (
            *(catalog, schema, join.target, target),
            *(catalog, schema, join.source, source),
            *(position, name, f"{join.target} key", _NO_ACTION, _NO_ACTION),
        )


# SQL about the catalog


def information_schema(catalog: SqlCatalog, relation: str) -> Any:
    """Returns a relation of the information schema as a `pyarrow.Table`."""
    match relation:
        case "schemata":
            rows = [{"catalog_name": catalog.name, "schema_name": name} for name in sorted(catalog.models)]
            return _text_table(("catalog_name", "schema_name", "schema_owner"), rows)
        case "tables" | "views":
            return _text_table(("table_catalog", "table_schema", "table_name", "table_type"), _table_rows(catalog))
        case "columns":
            return _columns_table(catalog)
        case _:
            return _constraints(catalog, relation)


def _text_table(names: tuple[str, ...], rows: list[dict[str, Any]]) -> Any:
    return pa.Table.from_pylist(rows, pa.schema([(name, pa.string()) for name in names]))


def _table_rows(catalog: SqlCatalog) -> list[dict[str, Any]]:
    return [
        {
            "table_catalog": catalog.name,
            "table_schema": table.schema,
            "table_name": table.name,
            "table_type": table.kind.value,
        }
        for name, model in sorted(catalog.models.items())
        for table in tables(name, model)
    ]


def _columns_table(catalog: SqlCatalog) -> Any:
    from sagitta_server.flight.type_info import sql_type  # noqa: PLC0415

    rows = []
    for name, model in sorted(catalog.models.items()):
        for table in tables(name, model):
            for position, column in enumerate(table.columns, start=1):
                kind = column_type(column)
                rows.append(
                    {
                        "table_catalog": catalog.name,
                        "table_schema": name,
                        "table_name": table.name,
                        "column_name": column.name,
                        "ordinal_position": position,
                        "is_nullable": "YES" if column.nullable else "NO",
                        "data_type": sql_type(kind).name,
                        "numeric_precision": kind.precision if pa.types.is_decimal(kind) else None,
                        "numeric_scale": kind.scale if pa.types.is_decimal(kind) else None,
                        "column_comment": column.description,
                    }
                )
    names = ("table_catalog", "table_schema", "table_name", "column_name")
    numbers = (("numeric_precision", pa.int32()), ("numeric_scale", pa.int32()))
    schema = pa.schema(
        [
            *((n, pa.string()) for n in names),
            ("ordinal_position", pa.int32()),
            ("column_default", pa.string()),
            ("is_nullable", pa.string()),
            ("data_type", pa.string()),
            *numbers,
            ("column_comment", pa.string()),
        ]
    )
    return pa.Table.from_pylist(rows, schema)


def _constraints(catalog: SqlCatalog, relation: str) -> Any:
    rows = []
    for schema, model in sorted(catalog.models.items()):
        for data_object in model.objects.values():
            if not data_object.primary_key:
                continue
            common = {
                "constraint_catalog": catalog.name,
                "constraint_schema": schema,
                "constraint_name": f"{data_object.name} key",
                "table_schema": schema,
                "table_name": data_object.name,
            }
            if relation == "table_constraints":
                rows.append({**common, "constraint_type": "PRIMARY KEY"})
            else:
                rows.extend({**common, "column_name": column} for column in data_object.primary_key)
    last = "constraint_type" if relation == "table_constraints" else "column_name"
    names = ("constraint_catalog", "constraint_schema", "constraint_name", "table_schema", "table_name", last)
    return _text_table(names, rows)
