"""The world of the matrix: two facts, a dimension that they share, one above it and one across a bridge; what else a
feature needs (a derived object, a union, another path, a column that reads a measure) it adds to the model itself.
"""

from __future__ import annotations

import copy
import datetime as dt
from collections.abc import Callable
from functools import cache
from typing import Any

from oracle import features as f
from oracle.sources import derived_columns
from oracle.worlds import COLUMN_TYPES, Chooser, Document, Edge, Seeded, World, build_world

SALES, SHOPS, AREAS, RETURNS, TAGS = "Sales", "Shops", "Areas", "Returns", "Tags"
DIGEST, MOVES = "Digest", "Moves"
Edit = Callable[[Document, Document], None]
"""Changes the model and the query of a cell."""

_EDGES = (Edge(0, 1), Edge(1, 2), Edge(3, 1), Edge(1, 4, "many-to-many"))
_FITS = {SALES: range(14, 15), SHOPS: range(4, 11), AREAS: range(3, 11), RETURNS: range(5, 11), TAGS: range(3, 5)}


@cache
def shop() -> World:
    """NULLs, orphans and empty groups in all objects; no join is required."""
    for seed in range(10_000):
        chooser = Seeded(f"shop {seed}")
        world = build_world(chooser, "shop", tuple(_FITS), _EDGES, most_rows=14)
        sizes = [len(table["rows"]) in _FITS[name] for name, table in zip(_FITS, world.tables.values(), strict=True)]
        required = any(join.get("required") for o in world.model["dataObjects"].values() for join in o.get("joins", ()))
        empty = [row for row in world.tables[SALES.lower()]["rows"] if row[6] is None]
        if all(sizes) and not required and len(empty) == 2:
            world.model.pop("settings", None)
            _crowd(chooser, world)
            _second_paths(chooser, world)
            return world
    raise AssertionError("no seed fits")


def _crowd(chooser: Chooser, world: World) -> None:
    """Sales and returns fall into few kinds and near days, so that comparisons and windows find something."""
    for name in (SALES, RETURNS):
        for row in world.tables[name.lower()]["rows"]:
            row[1], row[3] = chooser.choose(_FEW_KINDS), chooser.choose(_NEAR_DAYS)


_FEW_KINDS = ("x", "x", "y", None)
_NEAR_DAYS = (
    *(dt.date(2023, 1, 1), dt.date(2023, 1, 15), dt.date(2023, 12, 31), dt.date(2024, 1, 1), dt.date(2024, 1, 7)),
    *(dt.date(2024, 1, 8), dt.date(2024, 2, 29), None),
)


def _second_paths(chooser: Chooser, world: World) -> None:
    """Each sale also names another shop, and an area of its own; joins over these are declared by features."""
    for code, target in (("other", SHOPS), ("area", AREAS)):
        table, ids = world.tables[SALES.lower()], [row[0] for row in world.tables[target.lower()]["rows"]]
        table["columns"][code] = "INTEGER"
        table["rows"] = [[*row, chooser.choose((*ids, *ids, None, 99))] for row in table["rows"]]


def also(*edits: Edit) -> Edit:
    """Several edits as one."""

    def edit(model: Document, query: Document) -> None:
        for each in edits:
            each(model, query)

    return edit


# -- joins -------------------------------------------------------------------------------------------------------------


def _columns(model: Document, name: str) -> Document:
    return model["dataObjects"][name]["columns"]  # type: ignore[no-any-return]


def other_path(model: Document, query: Document) -> None:
    """The query walks from a sale to the other shop that it names."""
    _columns(model, SALES)["Other"] = {"code": "other", "abstractType": "int"}
    join = {"joinType": "many-to-one", "joinTo": SHOPS, "columnsFrom": ["Other"], "columnsTo": ["Id"]}
    model["dataObjects"][SALES]["joins"].append({**join, "secondary": True, "pathName": "other"})
    query["usePathNames"] = [{"source": SALES, "target": SHOPS, "pathName": "other"}]


def area_by_shop(model: Document, query: Document) -> None:
    """A sale has an area of its own; the selected one is that of its shop."""
    _columns(model, SALES)["Area"] = {"code": "area", "abstractType": "int"}
    join = {"joinType": "many-to-one", "joinTo": AREAS, "columnsFrom": ["Area"], "columnsTo": ["Id"]}
    model["dataObjects"][SALES]["joins"].append(join)
    model["dimensions"]["Area by shop"] = {"dataObject": AREAS, "column": "Kind", "via": SHOPS, "resultType": "string"}
    query["select"]["dimensions"].append("Area by shop")


def required(source: str, target: str) -> Edit:
    """Rows of the source without a partner are dropped."""

    def edit(model: Document, _: Document) -> None:
        for join in model["dataObjects"][source]["joins"]:
            if join["joinTo"] == target:
                join["required"] = True

    return edit


# -- objects that are no tables ----------------------------------------------------------------------------------------


def with_digest(model: Document, _: Document) -> None:
    """A derived object: the sales of each shop and month, joined to the shops."""
    if DIGEST in model["dataObjects"]:
        return
    model["dimensions"]["Shops Id"] = {"dataObject": SHOPS, "column": "Id", "resultType": "int"}
    select = {"dimensions": ["Shops Id", f"{SALES} Month"], "measures": [f"{SALES} sum", f"{SALES} tally"]}
    columns = {
        "Shop": {"code": "Shops Id", "abstractType": "int"},
        **derived_columns(f"{SALES} Month", f"{SALES} sum", f"{SALES} tally"),
        "Kind": {"expression": "CASE WHEN {Qty} > 1 THEN 'x' ELSE 'y' END", "abstractType": "string"},
    }
    join = {"joinType": "many-to-one", "joinTo": SHOPS, "columnsFrom": ["Shop"], "columnsTo": ["Id"]}
    model["dataObjects"][DIGEST] = {"query": {"select": select}, "columns": columns, "joins": [join]}
    _dimensions(model, DIGEST)


def with_moves(model: Document, _: Document) -> None:
    """A union: sales and returns one after the other, told apart by their kind, joined to the shops."""
    if MOVES in model["dataObjects"]:
        return
    labels = [label for label in COLUMN_TYPES if label != "Kind"]
    columns = {label: {"code": label, "abstractType": COLUMN_TYPES[label][2]} for label in labels}
    members = [
        {"dataObject": name, "value": value, "columns": {"Shop": f"To {SHOPS}", **{label: label for label in labels}}}
        for name, value in ((SALES, "x"), (RETURNS, "y"))
    ]
    model["dataObjects"][MOVES] = {
        "unionOf": members,
        "discriminator": "Kind",
        "columns": {
            "Kind": {"code": "Kind", "abstractType": "string"},
            "Shop": {"code": "Shop", "abstractType": "int"},
            **columns,
            "Size": {"expression": "CASE WHEN {Qty} > 1 THEN 'big' ELSE 'small' END", "abstractType": "string"},
        },
        "joins": [{"joinType": "many-to-one", "joinTo": SHOPS, "columnsFrom": ["Shop"], "columnsTo": ["Id"]}],
    }
    _dimensions(model, MOVES)


def _dimensions(model: Document, name: str) -> None:
    for label, kind in {"Kind": "string", "Day": "date", "Size": "string"}.items():
        model["dimensions"][f"{name} {label}"] = {"dataObject": name, "column": label, "resultType": kind}
    month = {"dataObject": name, "column": "Day", "resultType": "date", "timeGrain": "month"}
    model["dimensions"][f"{name} Month"] = month
    for label, kind in (("sum", "sum"), ("tally", "count")):
        model["measures"][f"{name} {label}"] = f.MEASURES[kind](name)


# -- columns that read measures ----------------------------------------------------------------------------------------


def with_lifetime(model: Document, _: Document) -> None:
    """Shops know what they have sold, are classed and ranked by it; a sale knows its part of all sales."""
    columns = _columns(model, SHOPS)
    columns["Lifetime"] = {"expression": f"{{[{SALES} sum]}}", "abstractType": "float"}
    test = f"CASE WHEN {{[{SALES} sum]}} > 1 THEN 'large' ELSE 'small' END"
    columns["Class"] = {"expression": test, "abstractType": "string"}
    model["dimensions"][f"{SHOPS} Class"] = {"dataObject": SHOPS, "column": "Class", "resultType": "string"}
    model["metrics"]["Rank of shops"] = f.UNTIMED["rank"](f"{SALES} sum", "")
    columns["Rank"] = {"expression": "{[Rank of shops]}", "abstractType": "int"}
    model["dimensions"][f"{SHOPS} Place"] = {"dataObject": SHOPS, "column": "Rank", "resultType": "int"}
    _columns(model, SALES)["Part"] = {"expression": f"{{Amount}} / {{[{SALES} total]}}", "abstractType": "float"}


# -- settings ----------------------------------------------------------------------------------------------------------


def fiscal(model: Document, _: Document) -> None:
    """The fiscal year begins in April, the week on Sunday."""
    model["settings"] = {**model.get("settings", {}), "fiscalYearStart": 4, "weekStart": "sunday"}


def four_decimals(model: Document, _: Document) -> None:
    """Numbers have four decimals unless something else is declared."""
    model["settings"] = {**model.get("settings", {}), "defaultNumericDataType": "decimal(20, 4)"}


# -- queries -----------------------------------------------------------------------------------------------------------


def dimensions(*names: Any) -> Edit:
    def edit(_: Document, query: Document) -> None:
        selected = query["select"]["dimensions"]
        selected.extend(copy.deepcopy(name) for name in names if name not in selected)

    return edit


def measures(*names: Any) -> Edit:
    def edit(_: Document, query: Document) -> None:
        selected = query["select"]["measures"]
        selected.extend(copy.deepcopy(name) for name in names if name not in selected)

    return edit


def where(*clauses: Document) -> Edit:
    def edit(_: Document, query: Document) -> None:
        query.setdefault("where", []).extend(copy.deepcopy(clauses))

    return edit


def put(key: str, value: Any) -> Edit:
    def edit(_: Document, query: Document) -> None:
        query[key] = copy.deepcopy(value)

    return edit


def add(key: str, value: Any) -> Edit:
    def edit(_: Document, query: Document) -> None:
        query.setdefault(key, []).append(copy.deepcopy(value))

    return edit


def condition(name: str, operator: str, *value: Any) -> Document:
    return {"field": name, "op": operator, **({"value": value[0]} if value else {})}
