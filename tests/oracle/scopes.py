"""Where a leaf reads: from its home, or from a common root that reaches what the home does not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from oracle import filters
from oracle import values as v
from oracle.relations import Context, FieldRef, Graph, Path, Row, Step, World
from sagitta_compiler.model.resolved import ColumnRef
from sagitta_compiler.query.query import Filter, FilterGroup, FilterNode, Logic

Dimension = Sequence[FieldRef]
"""The fields that one dimension shows: several when it is coalesced."""


@dataclass(frozen=True)
class Anchor:
    """The object whose rows carry a leaf (its home, or the root that reaches its dimensions), and the way home."""

    home: str
    object: str
    way: Path = ()


@dataclass(frozen=True)
class Scope:
    """A row source: a root, the ways to the anchor, to the home and to each field (None: unreachable)."""

    root: str
    to_anchor: Path
    to_home: Path
    paths: Mapping[FieldRef, Path | None]

    def all_paths(self) -> list[Path]:
        return [self.to_anchor, self.to_home, *(path for path in self.paths.values() if path is not None)]


class Scoper:
    """Finds roots and paths in one graph, and reads values through them."""

    def __init__(self, world: World, graph: Graph) -> None:
        self.world = world
        self.graph = graph

    def field(self, name: str) -> FieldRef:
        """Returns what a filter or a grain names: a dimension, or `Object.Column`."""
        dimension = self.world.model.dimensions.get(name)
        if dimension is not None:
            return FieldRef(dimension.ref, dimension.via)
        return FieldRef(self.column(name))

    def column(self, name: str) -> ColumnRef:
        object_name, dot, column = name.partition(".")
        data_object = self.world.model.objects.get(object_name.strip())
        if not dot or data_object is None or column.strip() not in data_object.columns:
            raise v.RefusedError(f"nothing is called {name}", "UNKNOWN_FILTER_FIELD")
        return ColumnRef(object_name.strip(), column.strip())

    def is_near(self, home: str, ref: FieldRef) -> bool:
        return self.graph.reaches(home, ref.column.object, ref.via)

    def roots(self, home: str, refs: Iterable[FieldRef]) -> list[str]:
        """Returns the objects that reach the home and all fields, by one way each where there are such."""
        wanted = list(refs)
        single = self.graph.single_valued
        found = self._reaching(single, home, wanted) or self._reaching(self.graph, home, wanted)
        return [name for name in found if len(self.graph.shortest(name, home)) == 1] or found

    def _reaching(self, graph: Graph, home: str, refs: Sequence[FieldRef]) -> list[str]:
        return [
            name
            for name in self.world.model.objects
            if graph.reaches(name, home) and all(graph.reaches(name, r.column.object, r.via) for r in refs)
        ]

    def is_reachable(self, home: str, ref: FieldRef) -> bool:
        """Whether the home or a common root reaches a field."""
        return self.is_near(home, ref) or bool(self.roots(home, [ref]))

    def far(self, home: str, refs: Iterable[FieldRef]) -> list[FieldRef]:
        """Returns the fields that only a root reaches."""
        return [ref for ref in refs if not self.is_near(home, ref) and self.roots(home, [ref])]

    def root_for(self, home: str, refs: Iterable[FieldRef]) -> str | None:
        """Returns the root that serves all these far fields: joined by the directions declared, then the smallest."""
        wanted = list(refs)
        return min(self.roots(home, wanted), key=lambda name: self._rank(name, home, wanted), default=None)

    def _rank(self, name: str, home: str, refs: Sequence[FieldRef]) -> tuple[object, ...]:
        declared = self.graph.declared
        against = [ref for ref in refs if not declared.reaches(name, ref.column.object, ref.via)]
        apart = name not in {ref.via or ref.column.object for ref in refs}
        return (not declared.reaches(name, home), len(against), len(declared.descendants(name)), apart, name)

    def serves(self, home: str, refs: Sequence[FieldRef]) -> bool:
        """Whether one root, with one way to the home, reaches all these fields (those that nothing reaches apart)."""
        far = self.far(home, refs)
        return not far or any(len(self.graph.shortest(root, home)) == 1 for root in self.roots(home, far))

    def anchor(self, home: str, dims: Sequence[Dimension]) -> Anchor:
        """Returns where the rows of a leaf with these dimensions come from."""
        far = self.far(home, [ref for dim in dims for ref in dim])
        if not far:
            return Anchor(home, home)
        root = self.root_for(home, far) or self._widest_root(home, dims, far)
        return Anchor(home, root, self._must(root, home))

    def _widest_root(self, home: str, dims: Sequence[Dimension], far: Sequence[FieldRef]) -> str:
        """Returns the root that shows most dimensions and most members of those, of several the smallest.

        The other dimensions are NULL in this leaf. One that is selected several times counts once.
        """
        different = {frozenset(dim) for dim in dims}

        def shown(name: str) -> tuple[int, int]:
            count = sum(any(self.is_near(home, ref) or self._sees(name, ref) for ref in dim) for dim in different)
            return count, sum(self._sees(name, ref) for ref in set(far))

        served = {name: [ref for ref in far if self._sees(name, ref)] for name in self._reaching(self.graph, home, ())}
        most = max(shown(name) for name, refs in served.items() if refs)
        best = [refs for name, refs in served.items() if refs and shown(name) == most]
        roots = {name: refs for refs in best if (name := self.root_for(home, refs)) is not None}
        return min(roots, key=lambda name: self._first(name, home, roots[name]))

    def _first(self, name: str, home: str, refs: Sequence[FieldRef]) -> tuple[object, ...]:
        """Ranks roots of different fields: joined as declared, without joins that multiply, the smallest, the name."""
        forward, single = self.graph.forward, self.graph.single_valued
        as_declared = name in self._reaching(forward, home, refs)
        size = len(forward.descendants(name))
        return (not as_declared, name not in self._reaching(single, home, refs), size, name)

    def _sees(self, name: str, ref: FieldRef) -> bool:
        return self.graph.reaches(name, ref.column.object, ref.via)

    def is_served(self, home: str, dims: Sequence[Dimension], ref: FieldRef) -> bool:
        """Whether a leaf of a home that is grouped by `dims` has a field."""
        return self.scope(self.anchor(home, dims), [ref]).paths[ref] is not None

    def is_here(self, anchor: Anchor, ref: FieldRef) -> bool:
        """Whether the rows of an anchor have a field by themselves."""
        return self.is_near(anchor.home, ref) or self.is_near(anchor.object, ref)

    def is_hopeless(self, anchor: Anchor, ref: FieldRef) -> bool:
        """Whether nothing at all brings a field to the rows of an anchor."""
        return not self.is_reachable(anchor.home, ref) and not self.is_reachable(anchor.object, ref)

    def scope(self, anchor: Anchor, refs: Sequence[FieldRef]) -> Scope:
        """Returns the row source for the rows of an anchor with these fields."""
        far = [ref for ref in refs if not self.is_here(anchor, ref) and self.roots(anchor.object, [ref])]
        root = self.root_for(anchor.object, far) if far else anchor.object
        if root is None:
            raise v.UndecidedError(f"no single root serves {anchor.object} with all its fields")
        lead = self._must(root, anchor.object)
        paths = {ref: self._path(anchor, root, lead, ref) for ref in refs}
        return Scope(root, lead, _joined(lead, anchor.way), paths)

    def _path(self, anchor: Anchor, root: str, lead: Path, ref: FieldRef) -> Path | None:
        name, via = ref.column.object, ref.via
        if self.is_near(anchor.home, ref):
            return _joined(_joined(lead, anchor.way), self._must_via(anchor.home, via, name))
        if self.is_near(anchor.object, ref):
            return _joined(lead, self._must_via(anchor.object, via, name))
        return self._must_via(root, via, name) if self.graph.reaches(root, name, via) else None

    def _must(self, origin: str, destination: str) -> Path:
        return self._must_via(origin, None, destination)

    def _must_via(self, origin: str, via: str | None, destination: str) -> Path:
        path = self.graph.path_via(origin, via, destination)
        assert path is not None
        return path

    def read(self, scope: Scope, context: Context, ref: FieldRef) -> v.Value:
        """Returns the value of a field in a context; NULL where nothing reaches it."""
        path = scope.paths[ref]
        if path is None:
            return None
        return self.world.value(context[path], ref.column.object, ref.column.column)

    def clause_fields(self, clauses: Iterable[FilterNode]) -> list[FieldRef]:
        fields = (self.field(leaf.field) for clause in clauses for leaf in filters.leaves(clause))
        return list(dict.fromkeys(fields))

    def holds(self, clause: FilterNode, scope: Scope, context: Context) -> bool | None:
        """Returns the truth of a filter for a context."""
        return self.holds_at(clause, lambda _: (scope, context))

    def holds_at(self, clause: FilterNode, place: Callable[[FieldRef], tuple[Scope, Context]]) -> bool | None:
        """Returns the truth of a filter whose fields are read in different places."""

        def value(leaf: Filter) -> v.Value:
            ref = self.field(leaf.field)
            return self.read(*place(ref), ref)

        def exists(leaf: Filter) -> bool:
            return self._exists(leaf, *place(self.field(leaf.field)))

        return filters.passes(clause, value, filters.FilterWorld(self.world.calendar, self.world.context.now, exists))

    def check_exists(self, clauses: Iterable[FilterNode]) -> None:
        """Refuses an EXISTS without a way, with several, or with a filter on what its target does not reach."""
        for clause in clauses:
            for leaf in filters.leaves(clause):
                if leaf.subquery is not None:
                    origin = self.field(leaf.field).column.object
                    way = self._way_to(origin, leaf.subquery.object, leaf.subquery.path_name)
                    for inside in (one for node in leaf.subquery.filters for one in filters.leaves(node)):
                        self._path_inside(self._names_on(way, leaf.subquery.object), inside)

    def _exists(self, leaf: Filter, scope: Scope, context: Context) -> bool:
        """EXISTS: rows of the target that belong to the field's row, over joins walked either way."""
        subquery = leaf.subquery
        assert subquery is not None
        ref = self.field(leaf.field)
        path = scope.paths[ref]
        row = None if path is None else context[path]
        if row is None:
            return False
        way = self._way_to(ref.column.object, subquery.object, subquery.path_name)
        names = self._names_on(way, subquery.object)
        return any(
            all(self._passes_beside(clause, names, met) is True for clause in subquery.filters)
            for met in self._reached(row, way)
        )

    def _way_to(self, origin: str, target: str, path_name: str | None) -> Path:
        graph = self.graph
        if path_name is not None:
            graph = self._with_secondary(path_name)
        way = graph.undirected().path(origin, target)
        if way is None:
            raise v.RefusedError(f"no way from {origin} to {target}", "NO_JOIN_PATH_TO_SUBQUERY")
        return way

    def _with_secondary(self, path_name: str) -> Graph:
        chosen = [join for join in self.world.model.joins if join.path_name == path_name]
        replaced = {(join.source, join.target) for join in chosen}
        kept = [step for step in self.graph.steps if (step.join.source, step.join.target) not in replaced]
        return Graph((*kept, *(Step(join, forward) for join in chosen for forward in (True, False))))

    def _names_on(self, way: Path, target: str) -> list[str]:
        """Returns the objects of which a row is met on the way to the target, the target first."""
        return [step.destination for step in reversed(way)] or [target]

    def _reached(self, row: Row, way: Path) -> list[list[Row]]:
        """Returns the rows that are met on the way, the last one first; without a way the row itself."""
        met: list[list[Row]] = [[]]
        for step in way:
            met = [
                [found, *rows]
                for rows in met
                for found in self.world.matches(rows[0] if rows else row, step)
                if self.is_visible(found)
            ]
        return met if way else [[row]]

    def is_visible(self, row: Row | None) -> bool:
        """Whether the row policies of its object, and of those that it reaches, let a row be seen."""
        if row is None:
            return True
        for name in self.graph.single_valued.descendants(row.object) & self.world.context.row_policies.keys():
            path = self.graph.single_valued.path(row.object, name)
            assert path is not None
            met: Row | None = row
            for step in path:
                met = next(iter(self.world.matches(met, step)), None) if met is not None else None
            policies = self.world.context.row_policies[name]
            if not all(self._passes_beside(policy, [name], [met]) is True for policy in policies):
                return False
        return True

    def _passes_beside(self, clause: FilterNode, names: Sequence[str], rows: Sequence[Row | None]) -> bool | None:
        """The truth of a sub-filter for the rows that are met, the target's first."""

        def value(leaf: Filter) -> v.Value:
            place, path, ref = self._path_inside(names, leaf)
            row = rows[place]
            met = None if row is None else self.world.follow(row, path)
            return self.world.value(met, ref.column.object, ref.column.column)

        return filters.passes(clause, value, filters.FilterWorld(self.world.calendar, self.world.context.now))

    def _path_inside(self, names: Sequence[str], leaf: Filter) -> tuple[int, Path, FieldRef]:
        """Returns from which of the rows that are met a field of a sub-filter is read, and the way to it.

        A name is a column of the target first, then a dimension, then `Object.Column`.
        """
        if leaf.field in self.world.model.objects[names[0]].columns:
            return 0, (), FieldRef(ColumnRef(names[0], leaf.field))
        ref = self.field(leaf.field)
        for place, name in enumerate(names):
            path = self.graph.path_via(name, ref.via, ref.column.object)
            if path is not None and any(step.multiplies or step.join.required for step in path):
                raise v.UndecidedError("a sub-filter over a join that multiplies or drops rows")
            if path is not None:
                return place, path, ref
        raise v.RefusedError("the sub-filter is not reachable", "UNREACHABLE_SUBQUERY_FILTER_OBJECT")


def _joined(way: Path, on: Path) -> Path:
    """Returns one way after the other; a step that is walked straight back is not walked at all."""
    while way and on and way[-1].join == on[0].join and way[-1].forward != on[0].forward:
        way, on = way[:-1], on[1:]
    return way + on


def flat_clauses(clauses: Iterable[FilterNode]) -> tuple[FilterNode, ...]:
    """Returns the AND-ed clauses, with plain AND groups opened."""
    flat: list[FilterNode] = []
    for clause in clauses:
        if isinstance(clause, FilterGroup) and clause.logic is Logic.AND and not clause.negated:
            flat.extend(flat_clauses(clause.filters))
        else:
            flat.append(clause)
    return tuple(flat)
