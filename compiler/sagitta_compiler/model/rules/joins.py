"""The join graph: keys, names of paths, circles, diamonds, and what must be reachable."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Final

from sagitta_compiler.model.resolved import ColumnRef, Measure, NestedSource, ResolvedModel
from sagitta_compiler.model.rules.graphs import cycles, reachable, shown_cycle
from sagitta_compiler.model.scope import Scope
from sagitta_compiler.model.types import Cardinality
from sagitta_compiler.source import Path

Edges = Mapping[str, list[str]]

MAX_DIAMONDS: Final = 50
"""How many competing paths are reported, and looked for."""


def check_joins(model: ResolvedModel, scope: Scope) -> None:
    """Reports what is wrong with the joins and with what depends on their reach."""
    _check_path_names(model, scope)
    _check_keys(model, scope)
    _check_nested(model, scope)
    if not scope.joins_are_whole:
        return
    primary = {name: _distinct(j.target for j in o.joins if not j.secondary) for name, o in model.objects.items()}
    circles = list(cycles(primary))
    for cycle in circles:
        message = f"Joins run in a circle: {shown_cycle(cycle)}"
        hint = "Make one of them secondary, or declare a second data object over the same table for the other role."
        scope.report.error("CYCLIC_JOIN", message, ("dataObjects",), hint, context={"objects": list(cycle)})
    for source, target, firsts in islice(_diamonds(primary), 0 if circles else MAX_DIAMONDS):
        _report_diamond(scope, source, target, firsts)
    _check_via(model, scope)
    for measure in model.measures.values():
        if measure.anchor is not None:
            _check_anchor(model, scope, measure)


def _distinct(names: Iterator[str]) -> list[str]:
    return list(dict.fromkeys(names))


def _check_path_names(model: ResolvedModel, scope: Scope) -> None:
    for data_object in model.objects.values():
        seen: set[tuple[str, str]] = set()
        for at, join in enumerate(data_object.joins):
            if join.path_name is None:
                continue
            if (join.target, join.path_name) in seen:
                message = f"Two joins from '{join.source}' to '{join.target}' are named '{join.path_name}'"
                path: Path = ("dataObjects", join.source, "joins", at)
                scope.report.error("DUPLICATE_JOIN_PATH_NAME", message, path, "Rename one of them.")
            seen.add((join.target, join.path_name))


def _check_keys(model: ResolvedModel, scope: Scope) -> None:
    for data_object in model.objects.values():
        for at, join in enumerate(data_object.joins):
            sides = ((join.source, join.columns_from, "columnsFrom"), (join.target, join.columns_to, "columnsTo"))
            for owner, labels, key in sides:
                for label in labels:
                    if foreign := _foreign(model, ColumnRef(owner, label)):
                        message = f"The join key '{label}' of '{owner}' is computed from '{foreign}'"
                        hint = "Join by columns that a row of the object itself holds."
                        path: Path = ("dataObjects", data_object.name, "joins", at, key)
                        scope.report.error("CROSS_OBJECT_JOIN_KEY", message, path, hint)


def _foreign(model: ResolvedModel, ref: ColumnRef) -> ColumnRef | str | None:
    """Returns a reference outside the column's own object that it is computed from."""
    seen, waiting = {ref}, [ref]
    while waiting:
        current = waiting.pop()
        owner = model.objects.get(current.object)
        column = owner.columns.get(current.column) if owner else None
        if column is None or column.expression is None:
            continue
        if column.expression.measures:
            return column.expression.measures[0]
        for following in column.expression.columns:
            if following.object != ref.object:
                return following
            if following not in seen:
                seen.add(following)
                waiting.append(following)
    return None


def _check_nested(model: ResolvedModel, scope: Scope) -> None:
    nested = {name: o.source for name, o in model.objects.items() if isinstance(o.source, NestedSource)}
    for name, source in nested.items():
        path: Path = ("dataObjects", name, "nestedIn")
        parent = model.objects.get(source.parent)
        if source.parent == name or (parent is not None and isinstance(parent.source, NestedSource)):
            message = f"'{name}' is nested in '{source.parent}', which is nested itself"
            scope.report.error("NESTED_WITHIN_NESTED_UNSUPPORTED", message, path, "Nest it in a table.")
        elif parent is not None and not _has_array(scope, source):
            message = f"'{source.column}' is not a column of '{source.parent}'"
            hint = "Name the parent's array column, dotted to reach into a struct."
            scope.report.error("INVALID_NESTED_SOURCE", message, path, hint)
    for data_object in model.objects.values():
        for at, join in enumerate(data_object.joins):
            if join.target in nested:
                message = f"'{join.target}' holds the rows of an array: nothing can join to it"
                where: Path = ("dataObjects", data_object.name, "joins", at)
                scope.report.error("INVALID_NESTED_SOURCE", message, where, "Join to its parent instead.")


def _has_array(scope: Scope, source: NestedSource) -> bool:
    names = (source.column, source.column.split(".")[0])
    return any(scope.has_column(ColumnRef(source.parent, name)) for name in names)


def _diamonds(edges: Edges) -> Iterator[tuple[str, str, list[str]]]:
    """Yields objects that two paths reach from one, where no direct join says which is meant: from, to, through."""
    into: dict[str, list[str]] = defaultdict(list)
    for source, targets in edges.items():
        for target in targets:
            into[target].append(source)
    for source, targets in edges.items():
        if len(targets) < 2:
            continue
        direct = frozenset(targets)
        routes: dict[str, set[str]] = defaultdict(set)
        for first in targets:
            for reached in reachable(first, edges, direct):
                if reached not in direct and reached != source:
                    routes[reached].add(first)
        doubled = {name: firsts for name, firsts in routes.items() if len(firsts) > 1}
        for target, firsts in doubled.items():
            if not any(doubled.get(name, set()) >= firsts for name in into[target]):  # they meet here, not before
                yield source, target, sorted(firsts)


def _report_diamond(scope: Scope, source: str, target: str, firsts: list[str]) -> None:
    ways = " and ".join(f"'{first}'" for first in firsts)
    scope.report.error(
        "MULTIPATH_JOIN",
        f"'{source}' reaches '{target}' by several paths, through {ways}",
        ("dataObjects", source),
        "Join them directly, make one join secondary, or declare a second data object for the other role.",
        context={"from": source, "to": target, "through": firsts},
    )


def walkable(model: ResolvedModel, *, secondary: bool = True) -> dict[str, list[str]]:
    """Returns where a join path may lead from each object: forward, and both ways unless it is many to one."""
    edges: dict[str, list[str]] = defaultdict(list)
    for join in model.joins:
        if join.secondary and not secondary:
            continue
        edges[join.source].append(join.target)
        if join.cardinality is not Cardinality.MANY_TO_ONE:
            edges[join.target].append(join.source)
    for data_object in model.objects.values():
        if isinstance(data_object.source, NestedSource):
            edges[data_object.name].append(data_object.source.parent)
            edges[data_object.source.parent].append(data_object.name)
    return dict(edges)


def _check_via(model: ResolvedModel, scope: Scope) -> None:
    edges = walkable(model)
    reach: dict[str, set[str]] = {}
    for dimension in model.dimensions.values():
        via = dimension.via
        if via is None or via not in model.objects or dimension.object not in model.objects:
            continue
        if via not in reach:
            reach[via] = reachable(via, edges)
        if dimension.object not in reach[via]:
            message = f"No join path leads from '{via}' to '{dimension.object}'"
            hint = "`via` names an object on the way to the dimension's own."
            scope.report.error("INVALID_VIA_DATA_OBJECT", message, ("dimensions", dimension.name, "via"), hint)


def _check_anchor(model: ResolvedModel, scope: Scope, measure: Measure) -> None:
    anchor = measure.anchor
    assert anchor is not None
    refs = measure.expression.columns if measure.expression is not None else measure.columns
    read = {ref.object for ref in refs}
    if anchor not in model.objects or anchor in read or not read <= model.objects.keys():
        return
    if any(anchor not in [join.target for join in model.objects[name].joins] for name in read):
        message = f"'{anchor}' is neither read by the measure nor joined to by every object that it reads"
        hint = "Anchor the measure at one of its own objects, or at one that they all join to."
        scope.report.error("INVALID_ANCHOR_DATA_OBJECT", message, ("measures", measure.name, "anchor"), hint)
