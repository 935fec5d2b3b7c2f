"""What else can be added to a query, and what it would cost.

Judged on the join graph alone, so that hundreds of candidates are answered at once; compiling the query has the last
word.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from sagitta_compiler.model.resolved import (
    CumulativeMetric,
    DerivedMetric,
    PeriodOverPeriodMetric,
    ResolvedModel,
    WindowMetric,
)
from sagitta_compiler.model.rules.columns import figure_objects
from sagitta_compiler.model.rules.expressions import figure_references
from sagitta_compiler.model.rules.graphs import reachable
from sagitta_compiler.model.rules.joins import walkable
from sagitta_compiler.query.query import CoalesceItem, Query


@dataclass(frozen=True, slots=True)
class Cost:
    """What adding something makes the query do. All empty: nothing beyond what it does already."""

    joins: tuple[str, ...] = ()
    """Data objects that are joined in addition."""
    scans: tuple[str, ...] = ()
    """Data objects that are scanned in addition, each a leg of its own."""
    deduplicated: tuple[str, ...] = ()
    """Measures whose rows are read from a common root and counted once per group."""
    null_for: tuple[str, ...] = ()
    """Measures that a dimension does not reach (it is NULL for them), or dimensions that a measure does not reach."""
    requires: tuple[str, ...] = ()
    """Dimensions that must be selected too."""

    @property
    def is_free(self) -> bool:
        return not (self.joins or self.scans or self.deduplicated or self.null_for or self.requires)


@dataclass(frozen=True, slots=True)
class Composable:
    """A dimension, measure or metric that can be added, and its cost."""

    name: str
    kind: str
    cost: Cost
    composite: bool = False
    """Whether it makes the query unite independent facts."""


@dataclass(frozen=True, slots=True)
class Composables:
    """What can be added to a query."""

    anchor_objects: tuple[str, ...]
    items: tuple[Composable, ...]

    def names(self, kind: str, *, composite: bool = False) -> tuple[str, ...]:
        """Returns the names of a kind, either those that fit the present plan or those that make it composite."""
        return tuple(item.name for item in self.items if item.kind == kind and item.composite is composite)


def composables(model: ResolvedModel, query: Query) -> Composables:
    """Returns everything that can be added to a query without an error, each with its cost."""
    return _Composer(model, query).compose()


@dataclass
class _Composer:
    """Answers for one model and query; reach and homes are computed once."""

    model: ResolvedModel
    query: Query
    _reach: dict[str, frozenset[str]] = field(default_factory=dict)
    _roots: dict[frozenset[str], str | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._edges: Mapping[str, Iterable[str]] = walkable(self.model, secondary=False)
        self._dimensions = [d for d in _dimension_names(self.query) if d in self.model.dimensions]
        self._figures = [item.name for item in self.query.measures if self._exists(item.name)]
        self._homes = {name: self._home(name) for name in self._leaves(self._figures)}
        self._joined = self._joined_objects()

    def compose(self) -> Composables:
        anchors = sorted({home for home in self._homes.values() if home is not None})
        if not anchors and self._dimensions:
            root = self._root({self.model.dimensions[name].object for name in self._dimensions})
            anchors = [root] if root else []
        items = [*self._addable_dimensions(), *self._addable_figures(anchors)]
        return Composables(tuple(anchors), tuple(items))

    def _exists(self, name: str) -> bool:
        return name in self.model.measures or name in self.model.metrics

    def _reached(self, name: str) -> frozenset[str]:
        if name not in self._reach:
            self._reach[name] = frozenset(reachable(name, self._edges))
        return self._reach[name]

    def _leaves(self, figures: Iterable[str]) -> list[str]:
        """Returns the measures that figures are made of."""
        found: dict[str, None] = {}
        waiting, seen = list(figures), set[str]()
        while waiting:
            name = waiting.pop(0)
            if name in seen:
                continue
            seen.add(name)
            inner = figure_references(self.model, name)
            if name in self.model.measures and not inner:
                found[name] = None
            waiting += inner
        return list(found)

    def _home(self, measure: str) -> str | None:
        return self._root(figure_objects(self.model, measure))

    def _root(self, objects: set[str]) -> str | None:
        """Returns the object with the smallest reach that reaches them all."""
        key = frozenset(objects)
        if key not in self._roots:
            self._roots[key] = self._find_root(key)
        return self._roots[key]

    def _find_root(self, objects: frozenset[str]) -> str | None:
        if not objects:
            return None
        inside = [name for name in objects if objects <= self._reached(name)]
        candidates = inside or [name for name in self.model.objects if objects <= self._reached(name)]
        return min(candidates, key=lambda name: (len(self._reached(name)), name), default=None)

    def _joined_objects(self) -> set[str]:
        objects = {self.model.dimensions[name].object for name in self._dimensions}
        joined = {home for home in self._homes.values() if home is not None} | objects
        for home in list(self._homes.values()):
            if home is not None:
                for target in objects & self._reached(home):
                    joined |= set(self._path(home, target))
        return joined

    def _path(self, start: str, end: str) -> tuple[str, ...]:
        """Returns the objects on the shortest way from one to another, the start left out."""
        came: dict[str, str | None] = {start: None}
        waiting = deque([start])
        while waiting and end not in came:
            node = waiting.popleft()
            for following in self._edges.get(node, ()):
                if following not in came:
                    came[following] = node
                    waiting.append(following)
        path: list[str] = []
        step: str | None = end if end in came else None
        while step is not None and step != start:
            path.append(step)
            step = came[step]
        return tuple(reversed(path))

    def _addable_dimensions(self) -> Iterator[Composable]:
        selected = set(self._dimensions)
        costs: dict[str, Cost | None] = {}
        for name, dimension in self.model.dimensions.items():
            if name in selected:
                continue
            if dimension.object not in costs:
                costs[dimension.object] = self._dimension_cost(dimension.object)
            cost = costs[dimension.object]
            if cost is not None:
                yield Composable(name, "dimension", cost)

    def _dimension_cost(self, target: str) -> Cost | None:
        """Returns what selecting a dimension of an object costs; None when nothing reaches it."""
        if not self._homes:
            objects = {self.model.dimensions[name].object for name in self._dimensions}
            root = self._root(objects | {target})
            if root is None:
                return None
            return Cost(joins=tuple(sorted({*self._path(root, target), root, target} - self._joined)))
        joins: dict[str, None] = {}
        deduplicated, null_for = [], []
        for measure, home in self._homes.items():
            if home is not None and target in self._reached(home):
                joins |= dict.fromkeys(self._path(home, target))
            elif home is not None and (root := self._root({home, target})) is not None:
                deduplicated.append(measure)
                joins |= dict.fromkeys((root, *self._path(root, target)))
            else:
                null_for.append(measure)
        if len(null_for) == len(self._homes):
            return None
        new = tuple(name for name in joins if name not in self._joined)
        return Cost(joins=new, deduplicated=tuple(deduplicated), null_for=tuple(null_for))

    def _addable_figures(self, anchors: list[str]) -> Iterator[Composable]:
        selected = set(self._figures)
        for kind, section in (("measure", self.model.measures), ("metric", self.model.metrics)):
            for name in section:
                if name not in selected:
                    homes = {leaf: self._home(leaf) for leaf in self._leaves([name])}
                    composable = self._figure(name, kind, homes, anchors)
                    if composable is not None:
                        yield composable

    def _figure(self, name: str, kind: str, homes: dict[str, str | None], anchors: list[str]) -> Composable | None:
        joins: dict[str, None] = {}
        deduplicated, unreached = [], dict[str, None]()
        for leaf, home in homes.items():
            if home is None:
                return None
            for dimension in self._dimensions:
                target = self.model.dimensions[dimension].object
                if target in self._reached(home):
                    joins |= dict.fromkeys(self._path(home, target))
                elif (root := self._root({home, target})) is not None:
                    deduplicated.append(leaf)
                    joins |= dict.fromkeys((root, *self._path(root, target)))
                else:
                    unreached[dimension] = None
        if self._dimensions and len(unreached) == len(self._dimensions):
            return None
        own = [home for home in homes.values() if home is not None]
        scans = tuple(dict.fromkeys(home for home in own if home not in anchors and not self._is_joined(home)))
        cost = Cost(
            joins=tuple(n for n in joins if n not in self._joined and n not in own),
            scans=scans,
            deduplicated=tuple(dict.fromkeys(deduplicated)),
            null_for=tuple(unreached),
            requires=self._required(name),
        )
        composite = any(not self._related(home, anchor) for home in own for anchor in anchors)
        return Composable(name, kind, cost, composite)

    def _is_joined(self, home: str) -> bool:
        return not self._homes and home in self._joined

    def _related(self, home: str, anchor: str) -> bool:
        return home in self._reached(anchor) or anchor in self._reached(home)

    def _required(self, name: str) -> tuple[str, ...]:
        """Returns the time dimensions that a figure needs and the query lacks."""
        needed: dict[str, None] = {}
        waiting, seen = [name], set[str]()
        while waiting:
            current = waiting.pop()
            if current in seen:
                continue
            seen.add(current)
            match self.model.metrics.get(current):
                case CumulativeMetric() | PeriodOverPeriodMetric() as metric:
                    needed[metric.time_dimension] = None
                case WindowMetric() as metric if metric.time_dimension is not None:
                    needed[metric.time_dimension] = None
                case DerivedMetric() | WindowMetric() | None:
                    pass
            waiting += figure_references(self.model, current)
        return tuple(dimension for dimension in needed if dimension not in self._dimensions)


def _dimension_names(query: Query) -> Iterator[str]:
    for item in query.dimensions:
        if isinstance(item, CoalesceItem):
            yield from item.names
        else:
            yield item.name
