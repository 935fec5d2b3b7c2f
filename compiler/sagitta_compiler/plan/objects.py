"""Data objects that are no tables: queries of the model, unions of objects, and columns that read measures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from sagitta_compiler.model.resolved import Column, ColumnRef, QuerySource, ResolvedModel, UnionMember, UnionSource
from sagitta_compiler.plan.casts import typed
from sagitta_compiler.plan.conditions import Conditions
from sagitta_compiler.plan.evaluate import add, evaluate
from sagitta_compiler.plan.frames import Frame, Labels, as_select, close, empty_of, or_empty
from sagitta_compiler.plan.graph import Path, join_graph
from sagitta_compiler.plan.planner import Planner, shared_objects
from sagitta_compiler.plan.relations import Output, Select, Union
from sagitta_compiler.plan.routes import route
from sagitta_compiler.plan.scalars import Aggregate, Call, Case, Field, Literal, Scalar, all_of
from sagitta_compiler.plan.scope import Aliases, ObjectFrames, Scope
from sagitta_compiler.query.bound import (
    BoundDimension,
    BoundQuery,
    Clause,
    LeafValue,
    Member,
    NestedValue,
    Value,
    WindowValue,
    inputs_of,
)
from sagitta_compiler.query.query import Query
from sagitta_compiler.query.values import ValueBinder

PlanQuery = Callable[[Planner, Query, str], Select]


class ObjectFramesOf(ObjectFrames):
    """The frames of a model's derived objects, each planned once per compilation."""

    def __init__(self, model: ResolvedModel, plan_query: PlanQuery, *, unnests: bool) -> None:
        self.unnests = unnests
        self._model = model
        self._plan_query = plan_query
        self._made: dict[str, Select | Union] = {}
        self._open: list[str] = []
        self.planner: Planner | None = None

    def relation(self, name: str) -> Select | Union:
        if name in self._made:
            return self._made[name]
        planner = self._bound()
        if name in self._open:
            chain = " -> ".join([*self._open, name])
            raise planner.fail("CYCLIC_DATA_OBJECT", f"'{name}' is made of itself: {chain}", f"dataObjects.{name}")
        self._open.append(name)
        source = self._model.objects[name].source
        assert isinstance(source, QuerySource | UnionSource), name
        made = (
            self._plan_query(planner, source.query, name)
            if isinstance(source, QuerySource)
            else self._union(name, source)
        )
        self._open.pop()
        self._made[name] = made
        return made

    def _bound(self) -> Planner:
        assert self.planner is not None
        return self.planner

    # unions

    def _union(self, name: str, source: UnionSource) -> Union:
        members = tuple(self._member(name, source, member) for member in source.members)
        return Union(members, name, f"the objects of {name}")

    def _member(self, name: str, source: UnionSource, member: UnionMember) -> Select:
        """The rows of one member, under the filters that always hold for them, whatever paths are asked."""
        planner, graph = self._bound(), join_graph(self._model)
        scope = Scope(self._model, graph, member.object, self)
        outputs: list[Output] = []
        for column in self._model.objects[name].columns.values():
            if column.expression is not None:
                continue
            if column.name == source.discriminator:
                scalar: Scalar = Literal(member.value)
            elif column.name in member.columns:
                scalar = scope.column((), ColumnRef(member.object, member.columns[column.name]))
            else:
                scalar = Literal(None, column.type)
            outputs.append(Output(column.code, scalar))
        near = graph.reach(member.object)
        held = [c for c in planner.query.clauses if c.static and _reads_only(c, near)]
        conditions = Conditions(scope, graph, route(graph, member.object, ()), planner.out, planner.query.policies)
        where = all_of(c for c in (conditions.where(held), *conditions.policies()) if c is not None)
        planner.tables.add(member.object)
        return Select(tuple(outputs), scope.source, tuple(scope.joins), where, name=member.object)

    # facts that conform to a shared key

    def conformed(
        self, scope: Scope, path: Path, base: str, fact: str, read: tuple[str, ...]
    ) -> tuple[Select, Callable[[str], Scalar]]:
        planner = self._bound()
        shared = shared_objects(planner.graph, base, fact)
        if len(shared) != 1:
            raise planner.no_shared_key(base, fact, shared)
        key = next(edge for edge in planner.graph.edges(fact, "single") if edge.forward and edge.target == shared[0])
        inner = Scope(self._model, planner.graph, fact, self, Aliases(objects=scope.aliases.objects))
        keys = [(far, inner.read(inner.source.alias, ColumnRef(fact, near), ())) for near, far in key.pairs]
        sums = [Output(name, Aggregate("sum", (inner.column((), ColumnRef(fact, name)),))) for name in read]
        held = [c for c in planner.query.clauses if c.static and _reads_only(c, planner.graph.reach(fact))]
        conditions = Conditions(
            inner, planner.graph, route(planner.graph, fact, ()), planner.out, planner.query.policies
        )
        where = all_of(c for c in (conditions.where(held), *conditions.policies()) if c is not None)
        labelled = [Output(f"key {far}", scalar) for far, scalar in keys]
        select = Select(
            (*labelled, *sums),
            inner.source,
            tuple(inner.joins),
            where,
            tuple(scalar for _, scalar in keys),
            name=f"{fact} by {base}",
            note=f"{fact} summed per key of {shared[0]}",
        )
        own = self._shared_key(planner, scope, path, base, shared[0])
        return select, lambda alias: _tie(own, alias, [far for far, _ in keys])

    def _shared_key(self, planner: Planner, scope: Scope, path: Path, base: str, shared: str) -> dict[str, Scalar]:
        """The base's columns that hold the key of the shared object, by its labels."""
        alias = scope.at(path)
        if shared == base:
            columns = self._model.objects[base].columns
            return {
                name: scope.read(alias, ColumnRef(base, name), path)
                for name in columns
                if columns[name].expression is None
            }
        edge = next(e for e in planner.graph.edges(base, "single") if e.forward and e.target == shared)
        return {far: scope.read(alias, ColumnRef(base, near), path) for near, far in edge.pairs}

    # columns that read measures

    def computed(self, column: Column, owner: str, source: str, scope: Scope, path: Path) -> dict[str, Scalar]:
        """The measures of a computed column per key of its object, whatever the query filters."""
        assert column.expression is not None
        keys = self._model.objects[owner].primary_key
        planner = self._bound()
        if not keys:
            raise planner.fail(
                "MISSING_PRIMARY_KEY",
                f"'{owner}.{column.name}' reads a measure, so '{owner}' needs a primary key",
                f"dataObjects.{owner}.columns.{column.name}",
            )
        return {name: self._per_key(name, owner, keys, source, scope) for name in column.expression.measures}

    def _per_key(self, name: str, owner: str, keys: tuple[str, ...], source: str, scope: Scope) -> Scalar:
        planner = self._bound()
        value = ValueBinder(self._model, planner.out, None).value(name, (), f"dataObjects.{owner}")
        if value is None:
            raise planner.fail("UNKNOWN_MEASURE", f"There is no measure '{name}'", f"dataObjects.{owner}")
        dims = tuple(self._key_dimension(owner, key) for key in keys)
        static = tuple(clause for clause in planner.query.clauses if clause.static)
        query = BoundQuery(clauses=static, policies=planner.query.policies)  # a row's value, whatever paths are asked
        graph = join_graph(self._model)
        inner = replace(planner, query=query, graph=graph, legs=[], labels=Labels(dim.label for dim in dims))
        frame = _of_rows(inner, dims, static, value)
        label = inner.labels.of(value)
        select = as_select(
            replace(frame, values={value: typed(value, frame.values[value])}), inner.labels, f"{name} per {owner}"
        )
        alias = scope.aliases.take(f"{name} per {owner}")
        on = all_of(  # not null-safe: what belongs to no row of the object is no row's value
            Call("eq", (scope.read(source, ColumnRef(owner, key), None), Field(alias, dim.label)))
            for key, dim in zip(keys, dims, strict=True)
        )
        scope.beside(select, alias, on)
        found = Field(alias, label)
        if empty_of(value) is None:
            return found
        there = scope.read(source, ColumnRef(owner, keys[0]), None)
        return Case(((Call("is_not_null", (there,)), or_empty(value, found)),))

    def _key_dimension(self, owner: str, key: str) -> BoundDimension:
        member = Member(ColumnRef(owner, key), self._model.objects[owner].columns[key].type, name=f"{owner}.{key}")
        return BoundDimension(key, (member,), key, (key,))


def _of_rows(planner: Planner, dims: tuple[BoundDimension, ...], clauses: tuple[Clause, ...], value: Value) -> Frame:
    """A value by the key of an object; what belongs to no row has no place among the ranks."""
    if not any(isinstance(part, WindowValue) for part in _inside(value)):
        return evaluate(planner, dims, clauses, (value,))
    parts = tuple(part for part in _inside(value) if isinstance(part, LeafValue | NestedValue))
    frame = close(evaluate(planner, dims, clauses, parts), planner.labels, "rows", "what belongs to each row")
    owned = all_of(Call("is_not_null", (key,)) for key in frame.dims.values())
    return add(planner, replace(frame, select=replace(frame.select, where=owned)), dims, clauses, value)


def _inside(value: Value) -> Iterator[Value]:
    """A value and what it is made of, down to the leaves."""
    yield value
    for part in () if isinstance(value, NestedValue) else inputs_of(value):
        yield from _inside(part)


def _tie(own: dict[str, Scalar], alias: str, labels: list[str]) -> Scalar:
    condition = all_of(Call("eq", (own[label], Field(alias, f"key {label}"))) for label in labels)
    assert condition is not None
    return condition


def _reads_only(clause: Clause, objects: object) -> bool:
    return all(member.ref.object in objects for member in clause.members)  # type: ignore[operator]
