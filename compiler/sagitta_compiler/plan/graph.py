"""The join graph of a model: which object reaches which without multiplying rows, and by which path.

A path is always found from where the rows are counted, never from what else a query joins: the meaning of a dimension
for a measure cannot depend on its neighbours.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sagitta_compiler.model.resolved import Join, NestedSource, ResolvedModel
from sagitta_compiler.model.types import Cardinality
from sagitta_compiler.query.query import PathChoice


@dataclass(frozen=True, slots=True)
class Edge:
    """One step along a join: forward as declared, or backward."""

    join: Join
    forward: bool = True

    @property
    def source(self) -> str:
        return self.join.source if self.forward else self.join.target

    @property
    def target(self) -> str:
        return self.join.target if self.forward else self.join.source

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """The equal columns, as labels: of the object left, of the object entered."""
        join = self.join
        near, far = (join.columns_from, join.columns_to) if self.forward else (join.columns_to, join.columns_from)
        return tuple(zip(near, far, strict=True))

    @property
    def multiplies(self) -> bool:
        """Whether one row may meet several."""
        cardinality = self.join.cardinality
        return cardinality is Cardinality.MANY_TO_MANY or (cardinality is Cardinality.MANY_TO_ONE and not self.forward)

    def reversed(self) -> Edge:
        return Edge(self.join, not self.forward)


Path = tuple[Edge, ...]
Rank = tuple[int, int, bool, str]
"""A root: by which joins it sees, how much it reaches, whether it is none of what it must see, its name."""


def joined(way: Path, on: Path) -> Path:
    """One way after the other; a step that is walked straight back leads to the row that it came from."""
    while way and on and way[-1] == on[0].reversed():
        way, on = way[:-1], on[1:]
    return (*way, *on)


def across(path: Path) -> Path:
    """The beginning of a path up to its last step that multiplies; behind it a row leads to one row at most."""
    return path[: max((at for at, edge in enumerate(path, start=1) if edge.multiplies), default=0)]


class AmbiguousPathError(Exception):
    """Two equally short paths lead to an object."""

    def __init__(self, source: str, target: str, through: tuple[str, ...]) -> None:
        self.source, self.target, self.through = source, target, through
        super().__init__(f"{source} reaches {target} by several equally short paths")


class JoinGraph:
    """The active joins of a model under a choice of secondary paths. Searches are remembered."""

    def __init__(self, model: ResolvedModel, choices: tuple[PathChoice, ...] = ()) -> None:
        self._names = tuple(model.objects)
        self._nested = frozenset(n for n, obj in model.objects.items() if isinstance(obj.source, NestedSource))
        forward: dict[str, list[Edge]] = defaultdict(list)
        backward: dict[str, list[Edge]] = defaultdict(list)
        for join in _active_joins(model, choices):
            forward[join.source].append(Edge(join))
            backward[join.target].append(Edge(join, forward=False))
        self._forward: Mapping[str, list[Edge]] = forward
        self._backward: Mapping[str, list[Edge]] = backward
        self._searches: dict[tuple[str, str], dict[str, tuple[int, tuple[Edge, ...]]]] = {}
        self._ranks: dict[frozenset[str], Rank | None] = {}

    @property
    def names(self) -> tuple[str, ...]:
        return self._names

    def joins_directly(self, source: str, target: str) -> bool:
        """Whether an object declares a join to another that does not multiply."""
        return any(edge.target == target and not edge.multiplies for edge in self._forward.get(source, ()))

    def edges(self, name: str, mode: str) -> Iterable[Edge]:
        """The steps that leave an object.

        `single` never multiplies, `many` may cross many-to-many joins, `any` goes everywhere, `down` follows every
        join as it is declared.
        """
        for edge in self._forward.get(name, ()):
            if mode != "single" or not edge.multiplies:
                yield edge
        if mode == "down":
            return
        for edge in self._backward.get(name, ()):
            cardinality = edge.join.cardinality
            if (
                mode == "any"
                or cardinality is Cardinality.ONE_TO_ONE
                or (mode == "many" and (cardinality is Cardinality.MANY_TO_MANY or edge.join.source in self._nested))
            ):
                yield edge

    def path(self, source: str, target: str, mode: str = "single") -> Path | None:
        """The shortest path, None if there is none; raises AmbiguousPathError on a tie."""
        found = self._search(source, mode)
        if target not in found:
            return None
        steps: list[Edge] = []
        name = target
        while name != source:
            entering = found[name][1]
            if len(entering) > 1:
                raise AmbiguousPathError(source, target, tuple(sorted({edge.source for edge in entering})))
            steps.append(entering[0])
            name = entering[0].source
        return tuple(reversed(steps))

    def reach(self, source: str, mode: str = "single") -> frozenset[str] | dict[str, tuple[int, tuple[Edge, ...]]]:
        """The objects that `source` reaches, itself included."""
        return self._search(source, mode)

    def common_root(self, names: Iterable[str]) -> str | None:
        """The object from which all of `names` are seen; of several the one that reaches least.

        Of equal ones it is one of `names`, then the first by name. Joins count as they are declared; one-to-one joins
        backward, then many-to-many joins as declared, then backward, where nothing else leads.
        """
        rank = self._rank(frozenset(names))
        return None if rank is None else rank[-1]

    def best_root(self, sets: Iterable[frozenset[str]]) -> str:
        """Of the common roots of several sets of objects, each of which has one, the one that ranks first."""
        ranks = (self._rank(names) for names in sets)
        return min((mode, size, name) for mode, size, _, name in (rank for rank in ranks if rank is not None))[-1]

    def roots(self, name: str) -> Iterable[str]:
        """The objects that see an object, itself included."""
        return self._search(name, "up many")

    def any_path(self, source: str, target: str) -> Path | None:
        """A path that never multiplies if there is one, else one across many-to-many joins."""
        return (
            self.path(source, target) if target in self._search(source, "single") else self.path(source, target, "many")
        )

    def _rank(self, names: frozenset[str]) -> Rank | None:
        """The common root after how it is reached and how much it reaches; None where nothing sees all of `names`."""
        if names not in self._ranks:
            ranks = (self._first(names, *mode) for mode in enumerate(("up declared", "up", "up forward", "up many")))
            alone = (0, 0, False, next(iter(names))) if len(names) == 1 else None
            self._ranks[names] = alone or next((rank for rank in ranks if rank is not None), None)
        return self._ranks[names]

    def _first(self, names: frozenset[str], position: int, mode: str) -> Rank | None:
        below = "many" if mode == "up many" else "down"
        candidates = set.intersection(*(set(self._search(name, mode)) for name in names))
        return min(
            ((position, len(self._search(name, below)), name not in names, name) for name in candidates), default=None
        )

    def _search(self, source: str, mode: str) -> dict[str, tuple[int, tuple[Edge, ...]]]:
        """Breadth first: for each object its distance and the edges by which shortest paths enter it."""
        if (known := self._searches.get((source, mode))) is not None:
            return known
        found: dict[str, tuple[int, tuple[Edge, ...]]] = {source: (0, ())}
        frontier = [source]
        distance = 0
        while frontier:
            distance += 1
            entered: dict[str, list[Edge]] = {}
            for name in frontier:
                for edge in self._upward(name, mode) if mode.startswith("up") else self.edges(name, mode):
                    if edge.target not in found:
                        entered.setdefault(edge.target, []).append(edge)
            found.update((name, (distance, tuple(edges))) for name, edges in entered.items())
            frontier = list(entered)
        self._searches[source, mode] = found
        return found

    def _upward(self, name: str, mode: str) -> Iterable[Edge]:
        """The steps of `single` or `many`, or those as declared, walked from their far end."""
        for edge in self._backward.get(name, ()):
            if mode in ("up forward", "up many") or edge.join.cardinality is not Cardinality.MANY_TO_MANY:
                yield edge
        for edge in self._forward.get(name, ()):
            cardinality = edge.join.cardinality
            if (cardinality is Cardinality.ONE_TO_ONE and mode != "up declared") or (
                mode == "up many" and (cardinality is Cardinality.MANY_TO_MANY or name in self._nested)
            ):
                yield edge


def _active_joins(model: ResolvedModel, choices: tuple[PathChoice, ...]) -> Iterable[Join]:
    chosen = {(choice.source, choice.target): choice.path_name for choice in choices}
    nested = {name: obj.source for name, obj in model.objects.items() if isinstance(obj.source, NestedSource)}
    for join in model.joins:
        if join.source in nested and join.target == nested[join.source].parent:
            continue
        wanted = chosen.get((join.source, join.target))
        if join.path_name == wanted if wanted is not None else not join.secondary:
            yield join
    for name, source in nested.items():
        declared = next((j for j in model.objects[name].joins if j.target == source.parent), None)
        yield declared or Join(name, source.parent, Cardinality.MANY_TO_ONE, (), ())


def join_graph(model: ResolvedModel, choices: tuple[PathChoice, ...] = ()) -> JoinGraph:
    """The graph of a model, made once per choice of paths."""
    memo = model.derived
    key = ("join graph", frozenset((c.source, c.target, c.path_name) for c in choices))
    if key not in memo:
        memo[key] = JoinGraph(model, choices)
    graph: JoinGraph = memo[key]
    return graph
