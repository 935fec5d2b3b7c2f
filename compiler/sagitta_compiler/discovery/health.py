"""The structural health of a model's join graph."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import combinations, islice
from typing import Final

from sagitta_compiler.model.resolved import Join, NestedSource, ResolvedModel, TableSource
from sagitta_compiler.model.rules.graphs import reachable
from sagitta_compiler.model.rules.risks import orphans
from sagitta_compiler.model.types import Cardinality

MAX_RISKS: Final = 100
"""How many pairs of facts are named: a calendar joined by a hundred facts makes 4,950."""


@dataclass(frozen=True, slots=True)
class FanTrapRisk:
    """Two facts that meet in one object through columns of the same names."""

    tables: tuple[str, ...]
    reason: str
    suggested_pattern: str = "composite_fact_layer"


@dataclass(frozen=True, slots=True)
class Health:
    """What a model's join graph looks like."""

    data_objects: int = 0
    joins: int = 0
    """Joins that are not secondary."""
    orphan_data_objects: tuple[str, ...] = ()
    fan_trap_risks: tuple[FanTrapRisk, ...] = ()
    unreachable_dimensions: tuple[str, ...] = ()

    @property
    def warnings_count(self) -> int:
        return len(self.orphan_data_objects) + len(self.fan_trap_risks) + len(self.unreachable_dimensions)

    @property
    def status(self) -> str:
        return "warnings" if self.warnings_count else "ok"


def health(model: ResolvedModel) -> Health:
    """Returns the health of a model: orphans, fan-trap risks and dimensions that no fact reaches."""
    return Health(
        data_objects=len(model.objects),
        joins=sum(not join.secondary for join in model.joins),
        orphan_data_objects=orphans(model),
        fan_trap_risks=_fan_traps(model),
        unreachable_dimensions=_unreachable(model),
    )


def _edges(model: ResolvedModel) -> dict[str, list[str]]:
    """Returns where each object's rows lead: its joins, and from nested rows to their parent."""
    edges: dict[str, list[str]] = defaultdict(list)
    for join in model.joins:
        edges[join.source].append(join.target)
    for data_object in model.objects.values():
        if isinstance(data_object.source, NestedSource):
            edges[data_object.name].append(data_object.source.parent)
    return edges


def _fan_traps(model: ResolvedModel) -> tuple[FanTrapRisk, ...]:
    facing: dict[tuple[str, tuple[str, ...]], list[Join]] = defaultdict(list)
    for join in model.joins:
        if not join.secondary and join.cardinality is Cardinality.MANY_TO_ONE:
            facing[join.target, join.columns_from].append(join)
    risks = (
        FanTrapRisk((_table(model, a.source), _table(model, b.source)), _reason(target, columns))
        for (target, columns), joins in facing.items()
        for a, b in combinations(joins, 2)
        if a.source != b.source
    )
    return tuple(islice(risks, MAX_RISKS))


def _reason(target: str, columns: tuple[str, ...]) -> str:
    return f"Both join to '{target}' through {', '.join(columns)}; measures of both are aggregated before they meet"


def _table(model: ResolvedModel, name: str) -> str:
    source = model.objects[name].source
    return source.qualified if isinstance(source, TableSource) else name


def _unreachable(model: ResolvedModel) -> tuple[str, ...]:
    facts = {join.source for join in model.joins if join.cardinality is Cardinality.MANY_TO_ONE}
    if not facts:
        return ()
    edges = _edges(model)
    reached = {name for fact in facts for name in reachable(fact, edges)}
    return tuple(d.name for d in model.dimensions.values() if d.object not in reached)
