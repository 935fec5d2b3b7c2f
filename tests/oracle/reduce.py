"""Makes a failing case small: drops rows, clauses, selections and unused parts while the verdict stays."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import yaml
from oracle.queries import Case

Document = dict[str, Any]
Fails = Callable[[Case], bool]


def reduce_case(case: Case, fails: Fails) -> Case:
    """Returns the smallest case found that still fails in the same way."""
    shrinking = True
    while shrinking:
        shrinking = False
        for smaller in _smaller(case):
            if fails(smaller):
                case, shrinking = smaller, True
                break
    return case


def _smaller(case: Case) -> Iterator[Case]:
    yield from _without_definitions(case)
    yield from _without_query_parts(case)
    yield from _without_rows(case)
    yield from _without_columns(case)
    if case.policies:
        yield replace(case, policies={})


def _edited(document: Document, edit: Callable[[Document], object]) -> Document:
    twin = copy.deepcopy(document)
    edit(twin)
    return twin


def _without_definitions(case: Case) -> Iterator[Case]:
    model = case.model
    for section in ("metrics", "measures", "dimensions"):
        names = list(model.get(section, {}))
        for half in (names[: len(names) // 2], names[len(names) // 2 :]) if len(names) > 3 else ():
            yield replace(case, model=_edited(model, lambda m, s=section, h=half: [m[s].pop(n) for n in h]))
        for name in names:
            yield replace(case, model=_edited(model, lambda m, s=section, n=name: m[s].pop(n)))
            for key in [key for key in model[section][name] if key not in ("measure", "aggregation")]:
                yield replace(case, model=_edited(model, lambda m, s=section, n=name, k=key: m[s][n].pop(k)))
    for key in ("filters", "settings"):
        if key in model:
            yield replace(case, model=_edited(model, lambda m, k=key: m.pop(k)))
    for name, data_object in model["dataObjects"].items():
        if len(model["dataObjects"]) > 1:
            tables = {table: rows for table, rows in case.tables.items() if table != data_object.get("code")}
            yield replace(case, tables=tables, model=_edited(model, lambda m, n=name: m["dataObjects"].pop(n)))
        for place, join in enumerate(data_object.get("joins", ())):
            yield replace(case, model=_edited(model, lambda m, n=name, p=place: m["dataObjects"][n]["joins"].pop(p)))
            if "required" in join:
                yield replace(
                    case,
                    model=_edited(model, lambda m, n=name, p=place: m["dataObjects"][n]["joins"][p].pop("required")),
                )


def _without_query_parts(case: Case) -> Iterator[Case]:
    query = case.query
    for key in query:
        if key != "select":
            yield replace(case, query=_edited(query, lambda q, k=key: q.pop(k)))
    for key, items in query["select"].items():
        if isinstance(items, list):
            for place in range(len(items)):
                yield replace(case, query=_edited(query, lambda q, k=key, p=place: q["select"][k].pop(p)))
    for key in ("where", "having"):
        for place, clause in enumerate(query.get(key, ())):
            yield replace(case, query=_edited(query, lambda q, k=key, p=place: q[k].pop(p)))
            for member in clause.get("filters", ()):
                yield replace(case, query=_edited(query, lambda q, k=key, p=place, m=member: q[k].__setitem__(p, m)))


def _without_rows(case: Case) -> Iterator[Case]:
    for name, table in case.tables.items():
        count = len(table["rows"])
        if count > 3:
            for half in (slice(0, count // 2), slice(count // 2, count)):
                yield replace(case, tables=_edited(case.tables, lambda t, n=name, h=half: t[n]["rows"].__delitem__(h)))
        for place in range(count):
            yield replace(case, tables=_edited(case.tables, lambda t, n=name, p=place: t[n]["rows"].pop(p)))


def _without_columns(case: Case) -> Iterator[Case]:
    """Drops a column of an object together with the physical one."""
    for name, data_object in case.model["dataObjects"].items():
        for label, column in data_object["columns"].items():
            if len(data_object["columns"]) == 1:
                continue
            model = _edited(case.model, lambda m, n=name, c=label: m["dataObjects"][n]["columns"].pop(c))
            code, table = column.get("code"), data_object.get("code")
            if code is None or table not in case.tables or code not in case.tables[table]["columns"]:
                yield replace(case, model=model)
                continue
            yield replace(case, model=model, tables=_edited(case.tables, lambda t, n=table, c=code: _drop(t[n], c)))


def _drop(table: Document, code: str) -> None:
    place = list(table["columns"]).index(code)
    del table["columns"][code]
    for row in table["rows"]:
        del row[place]


class _Dumper(yaml.SafeDumper):
    pass


_Dumper.add_multi_representer(__import__("decimal").Decimal, lambda dumper, value: dumper.represent_float(float(value)))
_Dumper.ignore_aliases = lambda *_: True  # type: ignore[method-assign,assignment]


def as_yaml(case: Case, name: str, why: str) -> str:
    """Prints a case as an entry of the regression corpus."""
    document: Document = {"name": name, "why": why, "tables": case.tables, "model": case.model, "query": case.query}
    if case.policies:
        document["policies"] = case.policies
    text: str = yaml.dump(
        document, Dumper=_Dumper, sort_keys=False, default_flow_style=None, width=118, allow_unicode=True
    )
    return text
