"""Draws objects that are no tables: unions, derived objects; and columns that read a measure of their own row."""

from __future__ import annotations

from oracle.features import UNTIMED
from oracle.worlds import COLUMN_TYPES, Chooser, Document, World

UNION, DERIVED = "Gnu", "Hen"


def draw_sources(chooser: Chooser, world: World, model: Document, features: set[str]) -> tuple[str, ...]:
    """Adds such objects with dimensions of their own to a model; returns their names."""
    added = []
    if len(world.objects) > 1 and chooser.chance(12):
        _add_union(chooser, world, model)
        features.add("model: union")
        added.append(UNION)
    if chooser.chance(12):
        _add_derived(chooser, world, model)
        features.add("model: derived object")
        added.append(DERIVED)
    for name in added:
        kinds = {"Kind": "string", "Day": "date", "Size": "string"}
        for label, kind in kinds.items():
            model["dimensions"][f"{name} {label}"] = {"dataObject": name, "column": label, "resultType": kind}
        month = {"dataObject": name, "column": "Day", "resultType": "date", "timeGrain": "month"}
        model["dimensions"][f"{name} Month"] = month
    return tuple(added)


def _computed() -> Document:
    return {
        "Double": {"expression": "{Amount} * 2 + {Qty}", "abstractType": "float"},
        "Size": {"expression": "CASE WHEN {Qty} > 1 THEN 'big' ELSE 'small' END", "abstractType": "string"},
    }


def _add_union(chooser: Chooser, world: World, model: Document) -> None:
    members = [chooser.choose(world.objects), chooser.choose(world.objects)]
    labels = [label for label in COLUMN_TYPES if label != "Kind"]
    columns = {label: {"code": label, "abstractType": COLUMN_TYPES[label][2]} for label in labels}
    model["dataObjects"][UNION] = {
        "unionOf": [
            {"dataObject": name, "value": value, "columns": {label: label for label in labels}}
            for name, value in zip(members, ("x", "y"), strict=True)
        ],
        "discriminator": "Kind",
        "columns": {"Kind": {"code": "Kind", "abstractType": "string"}, **columns, **_computed()},
    }


def _add_derived(chooser: Chooser, world: World, model: Document) -> None:
    name = chooser.choose(world.objects)
    select = {"dimensions": [f"{name} Kind", f"{name} Month"], "measures": [f"{name} sum", f"{name} tally"]}
    columns = {
        "Kind": {"code": f"{name} Kind", "abstractType": "string"},
        **derived_columns(f"{name} Month", f"{name} sum", f"{name} tally"),
    }
    model["dataObjects"][DERIVED] = {"query": {"select": select}, "columns": columns}
    if chooser.chance(50):
        model["dimensions"][f"{name} Id"] = {"dataObject": name, "column": "Id", "resultType": "int"}
        select["dimensions"].append(f"{name} Id")
        columns["Owner"] = {"code": f"{name} Id", "abstractType": "int"}
        join = {"joinType": "many-to-one", "joinTo": name, "columnsFrom": ["Owner"], "columnsTo": ["Id"]}
        model["dataObjects"][DERIVED]["joins"] = [join]


def derived_columns(day: str, amount: str, count: str) -> Document:
    """The columns that every drawn object has, fed by the labels of a query."""
    return {
        "Day": {"code": day, "abstractType": "date"},
        "Amount": {"code": amount, "abstractType": "float"},
        "Qty": {"code": count, "abstractType": "int"},
        "Word": {"expression": "{Kind}", "abstractType": "string"},
        "Price": {"expression": "{Amount}", "abstractType": "float"},
        "Id": {"expression": "{Qty}", "abstractType": "int"},
        "Key": {"expression": "{Qty} - 1", "abstractType": "int"},
        "Flag": {"expression": "{Qty} > 1", "abstractType": "boolean"},
        "At": {"expression": "{Day}", "abstractType": "timestamp"},
        **_computed(),
    }


def add_lifetime(world: World, model: Document, name: str) -> None:
    """Gives the rows of an object the sum of what belongs to each, a class by it and a rank among the others."""
    many = [other for other in world.objects if name in world.near(other)]
    columns = model["dataObjects"][name]["columns"]
    columns["Id"]["primaryKey"] = True  # a measure is read by it
    columns["Lifetime"] = {"expression": f"{{[{many[-1]} sum]}}", "abstractType": "float"}
    test = f"CASE WHEN {{[{many[-1]} sum]}} > 1 THEN 'large' ELSE 'small' END"
    columns["Class"] = {"expression": test, "abstractType": "string"}
    model.setdefault("metrics", {})[f"{name} standing"] = UNTIMED["rank"](f"{many[-1]} sum", "")
    columns["Rank"] = {"expression": f"{{[{name} standing]}}", "abstractType": "int"}
    model["dimensions"][f"{name} Rank"] = {"dataObject": name, "column": "Rank", "resultType": "int"}
    model["dimensions"][f"{name} Class"] = {"dataObject": name, "column": "Class", "resultType": "string"}
    model["measures"][f"{name} lifetime"] = {
        "aggregation": "sum",
        "columns": [{"dataObject": name, "column": "Lifetime"}],
    }
