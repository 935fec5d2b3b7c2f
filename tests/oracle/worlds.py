"""Draws small models with their data: chains, stars, shared dimensions, triangles, bridges, islands.

Everything is drawn through a `Chooser`, so that hypothesis and a seeded generator draw the same things.
"""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Protocol, TypeVar

T = TypeVar("T")
Document = dict[str, Any]


class Chooser(Protocol):
    """Where choices come from."""

    def choose(self, items: Sequence[T]) -> T: ...

    def integer(self, low: int, high: int) -> int: ...

    def chance(self, percent: int) -> bool: ...


class Seeded:
    """Choices of a seed."""

    def __init__(self, seed: int | str) -> None:
        self.random = random.Random(seed)

    def choose(self, items: Sequence[T]) -> T:
        return items[self.random.randrange(len(items))]

    def integer(self, low: int, high: int) -> int:
        return self.random.randint(low, high)

    def chance(self, percent: int) -> bool:
        return self.random.randrange(100) < percent


@dataclass(frozen=True)
class Edge:
    """A join between two objects by their numbers."""

    source: int
    target: int
    kind: str = "many-to-one"


def _edges(*pairs: tuple[int, int] | tuple[int, int, str]) -> tuple[Edge, ...]:
    return tuple(Edge(*pair) for pair in pairs)


SHAPES: dict[str, tuple[int, tuple[Edge, ...]]] = {
    "single": (1, ()),
    "chain": (2, _edges((0, 1))),
    "chain of three": (3, _edges((0, 1), (1, 2))),
    "chain of four": (4, _edges((0, 1), (1, 2), (2, 3))),
    "star": (3, _edges((0, 1), (0, 2))),
    "shared dimension": (3, _edges((0, 2), (1, 2))),
    "galaxy": (4, _edges((0, 2), (1, 2), (0, 3), (1, 3))),
    "three facts": (5, _edges((0, 3), (1, 3), (2, 3), (3, 4))),
    "snowflake": (6, _edges((0, 1), (1, 2), (0, 3), (4, 3), (4, 5))),
    "triangle": (3, _edges((0, 1), (1, 2), (0, 2))),
    "triangle beside a fact": (4, _edges((0, 1), (1, 2), (0, 2), (3, 2))),
    "bridge": (3, _edges((0, 1, "many-to-many"), (1, 2))),
    "bridge to a dimension": (3, _edges((0, 1), (1, 2, "many-to-many"))),
    "bridge between facts": (5, _edges((0, 2), (1, 2), (2, 3, "many-to-many"), (3, 4))),
    "bridge beside a dimension": (5, _edges((0, 1), (0, 2), (2, 3, "many-to-many"), (3, 4))),
    "two bridges": (4, _edges((0, 1, "many-to-many"), (0, 2, "many-to-many"), (3, 0))),
    "bridge after bridge": (4, _edges((0, 1, "many-to-many"), (1, 2, "many-to-many"), (2, 3))),
    "facts on both ends of a bridge": (4, _edges((0, 1), (1, 2, "many-to-many"), (3, 2))),
    "one to one": (3, _edges((0, 1, "one-to-one"), (1, 2))),
    "islands": (2, ()),
    "two paths": (2, _edges((0, 1))),
}
NAMES = ("Ant", "Bee", "Cat", "Dog", "Eel", "Fox")
KINDS = ("x", "y", "z", "X Y", None)
WORDS = ("apple", "Apple Pie", "50%_off", "a_b", "", " ", "pear", None)


@dataclass(frozen=True)
class World:
    """A drawn model, as the documents that a user would write, and its tables."""

    shape: str
    edges: tuple[Edge, ...]
    objects: tuple[str, ...]
    model: Document
    tables: Document
    features: frozenset[str] = field(default_factory=frozenset)

    def near(self, name: str) -> tuple[str, ...]:
        """Returns the objects that one reaches by its joins."""
        if name not in self.objects:
            return (name,)
        found = [self.objects.index(name)]
        for here in found:
            for edge in self.edges:
                ends = [(edge.source, edge.target)]
                if edge.kind != "many-to-one":
                    ends.append((edge.target, edge.source))
                found.extend(there for origin, there in ends if origin == here and there not in found)
        return tuple(self.objects[place] for place in found)


COLUMN_TYPES = {
    "Id": ("id", "INTEGER", "int"),
    "Kind": ("kind", "VARCHAR", "string"),
    "Word": ("word", "VARCHAR", "string"),
    "Day": ("day", "DATE", "date"),
    "At": ("at", "TIMESTAMP", "timestamp"),
    "Qty": ("qty", "INTEGER", "int"),
    "Amount": ("amount", "DOUBLE", "float"),
    "Price": ("price", "DECIMAL(12, 2)", "float"),
    "Flag": ("flag", "BOOLEAN", "boolean"),
    "Key": ("key", "INTEGER", "int"),
}


def draw_world(chooser: Chooser, most_rows: int = 10) -> World:
    """Draws joins, objects, data and plain dimensions; measures and metrics are added by `features`."""
    shape = chooser.choose(tuple(SHAPES))
    count, edges = SHAPES[shape]
    world = build_world(chooser, shape, NAMES[:count], edges, most_rows)
    keyless = [name for name in world.objects if chooser.chance(15)]
    for name in keyless:
        del world.model["dataObjects"][name]["columns"]["Id"]["primaryKey"]
    return replace(world, features=world.features | {"object: without a primary key"}) if keyless else world


def build_world(
    chooser: Chooser, shape: str, objects: Sequence[str], edges: tuple[Edge, ...], most_rows: int = 10
) -> World:
    """Draws the data and the details of a world whose objects and joins are given."""
    secondary = shape == "two paths"
    ids = [_draw_ids(chooser, most_rows) for _ in objects]
    tables = {
        name.lower(): _draw_table(chooser, place, ids, edges, secondary=secondary) for place, name in enumerate(objects)
    }
    features = {f"shape: {shape}"}
    model: Document = {
        "version": 1.0,
        "dataObjects": {
            name: _object(chooser, place, objects, edges, features, secondary=secondary)
            for place, name in enumerate(objects)
        },
        "dimensions": _dimensions(objects, edges, shape),
    }
    _settings(chooser, model, features)
    return World(shape, edges, tuple(objects), model, tables, frozenset(features))


def _settings(chooser: Chooser, model: Document, features: set[str]) -> None:
    if chooser.chance(10):
        model["settings"] = {"weekStart": "sunday", "fiscalYearStart": chooser.integer(2, 12)}
        features.add("calendar: own")


def _draw_ids(chooser: Chooser, most_rows: int) -> list[int]:
    sizes = [size for size in (0, 1, 2, 3, 4, 5, 6, 8, 10, 14) if size <= most_rows]
    return list(range(1, 1 + chooser.choose(sizes)))


def _draw_table(
    chooser: Chooser, place: int, ids: Sequence[Sequence[int]], edges: Sequence[Edge], *, secondary: bool
) -> Document:
    columns = {code: sql_type for code, sql_type, _ in COLUMN_TYPES.values()}
    outgoing = [edge for edge in edges if edge.source == place and edge.kind != "many-to-many"]
    for edge in outgoing:
        columns[f"to{edge.target}"] = "INTEGER"
        if secondary:
            columns[f"other{edge.target}"] = "INTEGER"
    partners = {edge.target: _partners(chooser, len(ids[place]), ids[edge.target]) for edge in outgoing}
    rows = []
    for number, row_id in enumerate(ids[place]):
        row = [row_id, *_cells(chooser)]
        for edge in outgoing:
            if edge.kind == "one-to-one":
                row.append(partners[edge.target][number])
            else:
                row.append(_foreign(chooser, ids[edge.target]))
            if secondary:
                row.append(_foreign(chooser, ids[edge.target]))
        rows.append(row)
    return {"columns": columns, "rows": rows}


def _partners(chooser: Chooser, count: int, targets: Sequence[int]) -> list[int | None]:
    """Each target at most once; some rows have none, some one that does not exist."""
    pool: list[int | None] = [*targets, None, 99]
    partners: list[int | None] = []
    for _ in range(count):
        pick = chooser.choose(pool)
        if pick is not None:
            pool.remove(pick)
        partners.append(pick)
    return partners


def _foreign(chooser: Chooser, targets: Sequence[int]) -> int | None:
    """Mostly a row that exists; sometimes none, sometimes an orphan's reference."""
    if not targets or chooser.chance(15):
        return chooser.choose((None, 99))
    return chooser.choose(targets)


def _cells(chooser: Chooser) -> list[Any]:
    day = chooser.choose(_DAYS)
    at = (
        None
        if chooser.chance(15)
        else dt.datetime.combine(_AT_DAY, dt.time(chooser.integer(0, 23), chooser.integer(0, 59)))
    )
    return [
        chooser.choose(KINDS),
        chooser.choose(WORDS),
        day,
        at,
        chooser.choose((None, -2, 0, 1, 1, 2, 3, 7)),
        chooser.choose((None, 0.0, 0.25, 1.5, 2.0, 2.0, -3.75, 10.0, 12.5)),
        chooser.choose((None, Decimal("0.00"), Decimal("1.10"), Decimal("2.35"), Decimal("-0.05"), Decimal("9.99"))),
        chooser.choose((None, True, False)),
        chooser.choose((None, 1, 1, 2, 3)),
    ]


_AT_DAY = dt.date(2024, 1, 31)
_DAYS: tuple[dt.date | None, ...] = (
    None,
    dt.date(2023, 1, 15),
    dt.date(2023, 2, 28),
    dt.date(2023, 12, 31),
    dt.date(2024, 1, 1),
    dt.date(2024, 1, 7),
    dt.date(2024, 1, 31),
    dt.date(2024, 2, 29),
    dt.date(2024, 4, 1),
    dt.date(2024, 7, 15),
    dt.date(2025, 1, 15),
    dt.date(2025, 2, 1),
)


def _object(
    chooser: Chooser,
    place: int,
    objects: Sequence[str],
    edges: Sequence[Edge],
    features: set[str],
    *,
    secondary: bool,
) -> Document:
    columns: Document = {label: {"code": code, "abstractType": kind} for label, (code, _, kind) in COLUMN_TYPES.items()}
    columns["Id"]["primaryKey"] = True
    columns["Double"] = {"expression": "{Amount} * 2 + {Qty}", "abstractType": "float"}
    columns["Size"] = {"expression": "CASE WHEN {Qty} > 1 THEN 'big' ELSE 'small' END", "abstractType": "string"}
    joins = []
    for edge in edges:
        if edge.source != place:
            continue
        if edge.kind == "many-to-many":
            pair = {"columnsFrom": ["Key"], "columnsTo": ["Key"]}
        else:
            columns[f"To {objects[edge.target]}"] = {"code": f"to{edge.target}", "abstractType": "int"}
            pair = {"columnsFrom": [f"To {objects[edge.target]}"], "columnsTo": ["Id"]}
        join = {"joinType": edge.kind, "joinTo": objects[edge.target], **pair}
        if chooser.chance(12):
            join["required"] = True
            features.add("join: required")
        joins.append(join)
        if secondary:
            columns[f"Other {objects[edge.target]}"] = {"code": f"other{edge.target}", "abstractType": "int"}
            joins.append(
                {
                    "joinType": edge.kind,
                    "joinTo": objects[edge.target],
                    "columnsFrom": [f"Other {objects[edge.target]}"],
                    "columnsTo": ["Id"],
                    "secondary": True,
                    "pathName": "other",
                }
            )
    document: Document = {"code": objects[place].lower(), "schema": "main", "columns": columns}
    if joins:
        document["joins"] = joins
    return document


def _dimensions(objects: Sequence[str], edges: Sequence[Edge], shape: str) -> Document:
    dimensions: Document = {}
    for name in objects:
        dimensions[f"{name} Kind"] = {"dataObject": name, "column": "Kind", "resultType": "string"}
        dimensions[f"{name} Day"] = {"dataObject": name, "column": "Day", "resultType": "date"}
        dimensions[f"{name} Month"] = {
            "dataObject": name,
            "column": "Day",
            "resultType": "date",
            "timeGrain": "month",
        }
        dimensions[f"{name} Size"] = {"dataObject": name, "column": "Size", "resultType": "string"}
    if shape.startswith("triangle"):
        dimensions["Cat Kind by Bee"] = {
            "dataObject": "Cat",
            "column": "Kind",
            "resultType": "string",
            "via": "Bee",
        }
    return dimensions
