"""The tables of one SELECT: a root, what is joined to it, and the columns that can be read there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from sagitta_compiler.model.resolved import (
    Column,
    ColumnRef,
    Expression,
    NestedSource,
    ResolvedModel,
    TableSource,
)
from sagitta_compiler.model.types import AbstractType
from sagitta_compiler.plan.graph import Edge, JoinGraph, Path, joined
from sagitta_compiler.plan.relations import JoinKind, JoinTo, Output, Select, Source, Table, Union, Unnest
from sagitta_compiler.plan.scalars import AtZone, Call, Field, Over, Scalar, Template, all_of
from sagitta_compiler.plan.scalars import Path as ElementPath
from sagitta_compiler.query.bound import Member
from sagitta_compiler.sql.result import JoinStep

ELEMENT = "element"
"""The column that holds an element of an unnested array."""


@dataclass(slots=True)
class Aliases:
    """Names for the sources of a select and of the selects inside it, each used once."""

    taken: set[str] = field(default_factory=set)
    objects: set[str] = field(default_factory=set)
    """The data objects that the select and the selects inside it read."""

    def take(self, wanted: str) -> str:
        name, number = wanted, 2
        while name.lower() in self.taken:
            name, number = f"{wanted} {number}", number + 1
        self.taken.add(name.lower())
        return name


class ObjectFrames(Protocol):
    """Where the rows of an object come from when it is no table; the planner knows."""

    unnests: bool
    """Whether the engine unnests arrays in FROM."""

    def relation(self, name: str) -> Select | Union:
        """The frame of a derived object or a union."""

    def conformed(
        self, scope: Scope, path: Path, base: str, fact: str, read: tuple[str, ...]
    ) -> tuple[Select, Callable[[str], Scalar]]:
        """A fact summed per key that it shares with the base, and how it is joined under an alias."""

    def computed(self, column: Column, owner: str, source: str, scope: Scope, path: Path) -> dict[str, Scalar]:
        """The measures that a computed column reads, at the row of `source`."""


class Scope:
    """Collects the joins of a select. A path from the root is joined once, under one alias."""

    ROW_NUMBER = "row number"
    """The column that tells apart the rows of an object without a key."""

    def __init__(
        self,
        model: ResolvedModel,
        graph: JoinGraph,
        root: str,
        frames: ObjectFrames,
        aliases: Aliases | None = None,
        numbered: frozenset[str] = frozenset(),
        within: str | None = None,
    ) -> None:
        """`numbered` objects have a `ROW_NUMBER`; `within` is the alias of the row whose array a nested root is."""
        self.model = model
        self._numbered = numbered
        self._within = within
        self.graph = graph
        self.root = root
        self.frames = frames
        self.aliases = aliases or Aliases()
        self.joins: list[JoinTo] = []
        self.steps: list[JoinStep] = []
        self._at: dict[Path, str] = {}
        self._positions: dict[Path, int] = {}
        self._facts: dict[tuple[str, str, tuple[str, ...]], str] = {}
        self._computed: dict[tuple[str, ColumnRef], dict[str, Scalar]] = {}
        self.source = self._open_root()

    @property
    def read_objects(self) -> frozenset[str]:
        """The objects that are read so far."""
        return frozenset((self.root, *(path[-1].target for path in self._at if path)))

    def _open_root(self) -> Source:
        nested = self.model.objects[self.root].source
        if isinstance(nested, NestedSource) and self.unnests(self.root):
            return self._open_nested(nested) if self._within is None else self._open_within(nested, self._within)
        alias = self.aliases.take(self.root)
        self._at[()] = alias
        return Source(self._relation(self.root), alias)

    def _open_nested(self, nested: NestedSource) -> Source:
        """A nested object is read from its parent's rows; those without elements are no rows of it."""
        parent_alias = self.aliases.take(nested.parent)
        path = (self._parent_edge(self.root),)
        self._at[path] = parent_alias
        self._at[()] = alias = self.aliases.take(self.root)
        array = self._array(parent_alias, nested)
        self.joins.append(JoinTo(Source(Unnest(array), alias), None, JoinKind.CROSS))
        return Source(self._relation(nested.parent), parent_alias)

    def _open_within(self, nested: NestedSource, parent: str) -> Source:
        """The elements of one row's array."""
        self.aliases.objects.add(nested.parent)
        self._at[self._parent_edge(self.root),] = parent
        self._at[()] = alias = self.aliases.take(self.root)
        return Source(Unnest(self._array(parent, nested)), alias)

    def _parent_edge(self, name: str) -> Edge:
        nested = self.model.objects[name].source
        assert isinstance(nested, NestedSource)
        return next(e for e in self.graph.edges(name, "any") if e.target == nested.parent)

    def _array(self, alias: str, nested: NestedSource) -> Scalar:
        head, _, rest = nested.column.partition(".")
        columns = self.model.objects[nested.parent].columns
        code = columns[head].code if head in columns else head
        return (
            Call("member", (Field(alias, code), *(Field("", step) for step in rest.split("."))))
            if rest
            else Field(alias, code)
        )

    def _relation(self, name: str) -> Table | Select | Union:
        self.aliases.objects.add(name)
        return self._with_row_number(name) if name in self._numbered else self._rows(name)

    def _rows(self, name: str) -> Table | Select | Union:
        source = self.model.objects[name].source
        if isinstance(source, TableSource):
            return Table(name, source)
        if isinstance(source, NestedSource):
            assert source.fallback is not None, name
            return Table(name, source.fallback)
        return self.frames.relation(name)

    def _with_row_number(self, name: str) -> Select:
        codes = dict.fromkeys(c.code for c in self.model.objects[name].columns.values() if c.expression is None)
        columns = tuple(Output(code, Field(name, code)) for code in codes)
        number = Output(self.ROW_NUMBER, Over("row_number", ()))
        return Select((*columns, number), Source(self._rows(name), name), name=f"{name} numbered", note="a key per row")

    def at(self, path: Path, *, inner: bool = False, reason: str = "") -> str:
        """The alias of the object at the end of a path, joined if it is not yet; `inner` drops rows without it."""
        alias = ""
        for length in range(len(path) + 1):
            alias = self._step(path[:length], inner=inner, reason=reason)
        return alias

    def _step(self, path: Path, *, inner: bool, reason: str) -> str:
        known = self._at.get(path)
        if known is not None:
            if inner and path in self._positions:
                at = self._positions[path]
                join = self.joins[at]
                self.joins[at] = JoinTo(join.source, join.on, JoinKind.INNER)
            return known
        edge = path[-1]
        parent = self._at[path[:-1]]
        alias = self.aliases.take(edge.target)
        self._at[path] = alias
        self._positions[path] = len(self.joins)
        kind = JoinKind.INNER if inner or edge.join.required else JoinKind.LEFT
        nested = self.model.objects[edge.target].source
        if isinstance(nested, NestedSource) and edge.source == nested.parent and self.unnests(edge.target):
            self.joins.append(JoinTo(Source(Unnest(self._array(parent, nested)), alias), None, kind))
        else:
            self.joins.append(JoinTo(Source(self._relation(edge.target), alias), self.on(edge, parent, alias), kind))
        self.steps.append(self._explained(edge, reason))
        return alias

    def _explained(self, edge: Edge, reason: str) -> JoinStep:
        objects = self.model.objects
        codes = tuple(
            (objects[edge.source].columns[near].code, objects[edge.target].columns[far].code)
            for near, far in edge.pairs
        )
        return JoinStep(edge.source, edge.target, edge.join.cardinality.value, edge.pairs, reason, codes)

    def on(self, edge: Edge, near: str, far: str) -> Scalar:
        """The join condition of an edge between two aliases."""
        condition = all_of(
            Call(
                "eq",
                (
                    self.read(near, ColumnRef(edge.source, left), None),
                    self.read(far, ColumnRef(edge.target, right), None),
                ),
            )
            for left, right in edge.pairs
        )
        assert condition is not None
        return condition

    def member(self, path: Path, member: Member, *, reason: str = "") -> Scalar:
        """The untruncated column of a member whose object lies at the end of a path."""
        return self.column(path, member.ref, reason=reason)

    def column(self, path: Path, ref: ColumnRef, *, reason: str = "") -> Scalar:
        """A column of the object at the end of a path, in the zone of the model's queries."""
        scalar = self.read(self.at(path, reason=reason), ref, path)
        return self._in_zone(scalar, self.model.column(ref))

    def read(self, alias: str, ref: ColumnRef, path: Path | None) -> Scalar:
        """A column as stored, or computed from its row; `path` leads to other objects that a computed one reads."""
        column = self.model.column(ref)
        if column.expression is None:
            return self._stored(alias, ref, column)
        bindings = tuple((str(part), self._operand(alias, ref, part, path)) for part in column.expression.columns)
        if column.expression.measures:
            bindings = (*bindings, *self._measures(alias, ref, path or ()).items())
        return Template(column.expression, bindings)

    def _stored(self, alias: str, ref: ColumnRef, column: Column) -> Scalar:
        """A physical column; of an unnested array it is a member of the element."""
        if self.unnests(ref.object):
            return ElementPath(Field(alias, ELEMENT), tuple(column.code.split(".")), column.type)
        return Field(alias, column.code)

    def unnests(self, name: str) -> bool:
        """Whether an object's rows are unnested here: its array, unless there is only a table instead."""
        source = self.model.objects[name].source
        return isinstance(source, NestedSource) and (self.frames.unnests or source.fallback is None)

    def _measures(self, alias: str, ref: ColumnRef, path: Path) -> dict[str, Scalar]:
        """The measures that a computed column reads, joined once per row source."""
        if (alias, ref) not in self._computed:
            column = self.model.column(ref)
            self._computed[alias, ref] = self.frames.computed(column, ref.object, alias, self, path)
        return self._computed[alias, ref]

    def _operand(self, alias: str, owner: ColumnRef, part: ColumnRef, path: Path | None) -> Scalar:
        if part.object == owner.object:
            return self.read(alias, part, path)
        steps = self.graph.path(owner.object, part.object)
        assert steps is not None, f"{owner} cannot reach {part}"
        assert path is not None, f"{owner} reads another object and is a join key"
        further = (*path, *steps)
        return self.read(self.at(further, reason=f"column {owner}"), part, further)

    def _in_zone(self, scalar: Scalar, column: Column) -> Scalar:
        settings = self.model.settings
        zone = settings.query_timezone
        if zone is None or column.expression is not None:
            return scalar
        if column.type is AbstractType.TIMESTAMP_TZ:
            return AtZone(scalar, zone, None)
        if column.type is AbstractType.TIMESTAMP and settings.default_timezone is not None:
            return AtZone(scalar, zone, settings.default_timezone)
        return scalar

    def formula(self, path: Path, expression: Expression, base: str) -> Scalar:
        """An expression over columns; `path` leads to `base`, from where every object that it reads is found."""
        bindings: list[tuple[str, Scalar]] = []
        for ref in expression.columns:
            steps = self.graph.any_path(base, ref.object)
            if steps is None:
                read = tuple(dict.fromkeys(r.column for r in expression.columns if r.object == ref.object))
                bindings.append((str(ref), self._conformed(path, base, ref, read)))
                continue
            bindings.append((str(ref), self.column(joined(path, steps), ref, reason="measure expression")))
        return Template(expression, tuple(bindings))

    def _conformed(self, path: Path, base: str, ref: ColumnRef, read: tuple[str, ...]) -> Scalar:
        """A column of a fact that the base does not reach: its sum per key that both share."""
        key = (base, ref.object, read)
        if key not in self._facts:
            relation, on = self.frames.conformed(self, path, base, ref.object, read)
            self._facts[key] = alias = self.aliases.take(f"{ref.object} by {base}")
            self.beside(relation, alias, on(alias))
        return Field(self._facts[key], ref.column)

    def beside(self, relation: Select, alias: str, on: Scalar | None) -> None:
        """Joins a frame beside the tables."""
        self.joins.append(JoinTo(Source(relation, alias), on))
