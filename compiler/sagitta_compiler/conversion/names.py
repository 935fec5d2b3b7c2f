"""What columns are called in OSI, where fields go by their physical names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from sagitta_compiler.model.resolved import Column, ColumnRef, ResolvedModel

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def field_names(model: ResolvedModel) -> Mapping[ColumnRef, str]:
    """Returns the field of each column: its code, or its label where it is computed or the code is taken."""
    names: dict[ColumnRef, str] = {}
    for data_object in model.objects.values():
        taken: set[str] = set()
        for column in data_object.columns.values():
            name = _free(column, taken)
            taken.add(name)
            names[ColumnRef(data_object.name, column.name)] = name
    return names


def _free(column: Column, taken: set[str]) -> str:
    for name in (column.code if column.expression is None else column.name, column.name):
        if name and name not in taken:
            return name
    number = 2
    while f"{column.name} {number}" in taken:
        number += 1
    return f"{column.name} {number}"


def identifier(name: str) -> exp.Identifier:
    """Returns an SQL identifier, quoted where it has to be."""
    return exp.to_identifier(name, quoted=not _is_plain(name))


@lru_cache(maxsize=4096)
def _is_plain(name: str) -> bool:
    if not _PLAIN.fullmatch(name):
        return False
    try:
        parsed = sqlglot.parse_one(f"{name} = t.{name}")
    except SqlglotError:
        return False
    return all(isinstance(side, exp.Column) and side.name == name for side in (parsed.this, parsed.expression))


def join_source(*parts: str) -> str:
    """Returns the non-empty parts as `database.schema.table`, quoted where they hold a dot, a blank or a quote."""
    return ".".join(part if _is_word(part) else '"' + part.replace('"', '""') + '"' for part in parts if part)


def split_source(source: str) -> tuple[str, str, str] | None:
    """Returns database, schema and table (empty where missing); None when it is no such name, but a query perhaps."""
    parts = [
        match[1].replace('""', '"') if match[1] is not None else match[2]
        for match in re.finditer(r'"((?:[^"]|"")*)"|([^."]+)', source)
    ]
    if not 1 <= len(parts) <= 3 or join_source(*parts) != source or not all(parts):
        return None
    database, schema, table = ["", ""][: 3 - len(parts)] + parts
    return database, schema, table


def _is_word(part: str) -> bool:
    return not re.search(r'[."\s]', part)
