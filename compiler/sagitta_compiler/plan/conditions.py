"""Predicates on rows -> conditions of a select, with semi-joins for what lies on the many side."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sagitta_compiler.diagnostics import Diagnostics
from sagitta_compiler.model.resolved import ColumnRef
from sagitta_compiler.model.types import AbstractType, FilterOperator, TimeGrain
from sagitta_compiler.plan.graph import Edge, JoinGraph, Path, across, joined
from sagitta_compiler.plan.relations import Output, Select
from sagitta_compiler.plan.routes import Route, member_path, waypoint
from sagitta_compiler.plan.scalars import (
    FALSE,
    NULL,
    TRUE,
    Call,
    Exists,
    Literal,
    Scalar,
    Truncate,
    all_of,
    coalesce,
)
from sagitta_compiler.plan.scope import Scope
from sagitta_compiler.query.bound import Clause, Group, Member, Predicate, RowExists, Test, members_of
from sagitta_compiler.query.query import Logic

_O = FilterOperator
_PLAIN = {
    _O.EQUALS: "eq",
    _O.NOT_EQUALS: "ne",
    _O.GT: "gt",
    _O.GTE: "ge",
    _O.LT: "lt",
    _O.LTE: "le",
    _O.SET: "is_not_null",
    _O.NOT_SET: "is_null",
    _O.BETWEEN: "between",
    _O.LIKE: "like",
    _O.ILIKE: "ilike",
    _O.REGEX: "regex",
    _O.BLANK: "blank",
}
_NEGATED = {
    _O.NOT_BETWEEN: _O.BETWEEN,
    _O.NOT_LIKE: _O.LIKE,
    _O.NOT_ILIKE: _O.ILIKE,
    _O.NOT_CONTAINS: _O.CONTAINS,
    _O.NOT_REGEX: _O.REGEX,
    _O.NOT_BLANK: _O.BLANK,
}
_WITHOUT_OPERANDS = {
    _O.NOT_SET: True,
    _O.SET: False,
    _O.BLANK: True,
    _O.NOT_BLANK: False,
    _O.IN: False,
    _O.NOT_IN: True,
}
"""What tests without operands find of NULL; every other test finds it unknown."""
_LENGTHS = {_O.LENGTH_EQ: "eq", _O.LENGTH_GT: "gt", _O.LENGTH_LT: "lt"}

Place = Callable[[Member], tuple[Scope, Path] | None]
"""Where a member can be read: a scope and the path in it; None where nothing reaches it."""


def test(operator: FilterOperator, subject: Scalar, operands: tuple[Scalar, ...]) -> Scalar:
    """One predicate over a scalar."""
    if operator in _PLAIN:
        return Call(_PLAIN[operator], (subject, *operands))
    if operator in _NEGATED:
        return Call("not", (test(_NEGATED[operator], subject, operands),))
    if operator in _LENGTHS:
        return Call(_LENGTHS[operator], (Call("length", (subject,)), *operands))
    match operator:
        case FilterOperator.IN | FilterOperator.NOT_IN:
            return _membership(subject, operands, negated=operator is FilterOperator.NOT_IN)
        case FilterOperator.CONTAINS:
            return Call("contains", (subject, *operands))
        case FilterOperator.STARTS_WITH:
            return Call("starts_with", (subject, *operands))
        case FilterOperator.ENDS_WITH:
            return Call("ends_with", (subject, *operands))
        case _:
            raise AssertionError(operator)


def _membership(subject: Scalar, operands: tuple[Scalar, ...], *, negated: bool) -> Scalar:
    if not operands:
        return TRUE if negated else FALSE
    inside = Call("in", (subject, *operands))
    return Call("not", (inside,)) if negated else inside


def combine(logic: Logic, parts: Iterable[Scalar], *, negated: bool) -> Scalar:
    """A group of conditions; an empty AND is true, an empty OR false."""
    found = tuple(parts)
    if not found:
        return TRUE if (logic is Logic.AND) is not negated else FALSE
    whole = found[0] if len(found) == 1 else Call("and" if logic is Logic.AND else "or", found)
    return Call("not", (whole,)) if negated else whole


def truncated(scope: Scope, member: Member, scalar: Scalar) -> Scalar:
    """The member at its grain; equal members are equal scalars, so that who groups by both can tell."""
    if member.grain is None or (member.type is AbstractType.DATE and member.grain in _WITHIN_A_DAY):
        return scalar
    settings = scope.model.settings
    grain = _OF_THE_YEAR.get(member.grain, member.grain) if settings.fiscal_year_start == 1 else member.grain
    return Truncate(scalar, grain, member.type, settings.week_start, settings.fiscal_year_start)


_WITHIN_A_DAY = frozenset({TimeGrain.DAY, TimeGrain.HOUR, TimeGrain.MINUTE, TimeGrain.SECOND})
_OF_THE_YEAR = {TimeGrain.FISCAL_YEAR: TimeGrain.YEAR, TimeGrain.FISCAL_QUARTER: TimeGrain.QUARTER}


@dataclass(frozen=True, slots=True)
class SemiJoin:
    """Clauses that a related row must pass: related to the row of `anchor`, which lies at a path of the scope."""

    anchor: str
    at: Path
    root: str
    clauses: tuple[Clause, ...]
    far: tuple[Member, ...]


class Conditions:
    """Turns predicates into conditions of one scope; a field that cannot be seen is NULL there, with a warning."""

    def __init__(
        self,
        scope: Scope,
        graph: JoinGraph,
        route: Route,
        out: Diagnostics,
        policies: tuple[Clause, ...] = (),
        bridges: tuple[Path, ...] = (),
    ) -> None:
        """`bridges` are the paths across joins that multiply which are walked besides those to the dimensions."""
        self._scope = scope
        self._graph = graph
        self._route = route
        self._out = out
        self._policies = policies
        self._walked = (*(path for path in route.paths.values() if path is not None), *bridges)
        self._groups: list[SemiJoin] = []
        self.unseen: list[tuple[Clause, Member]] = []

    def where(self, clauses: Iterable[Clause]) -> Scalar | None:
        """The condition that all clauses set on the rows of the home."""
        plain = self._sorted(clauses, self._groups)
        return all_of([*plain, *(self._semi_join(group) for group in self._groups)])

    def _sorted(self, clauses: Iterable[Clause], groups: list[SemiJoin], place: Place | None = None) -> list[Scalar]:
        """The conditions of the clauses on near fields; those on far ones join the groups."""
        plain: list[Scalar] = []
        for clause in clauses:
            far = [m for m in clause.members if self._near(m) is None]
            if not far:
                plain.append(self.predicate(clause.predicate, place))
            elif not self._gather(groups, clause, far):
                self.unseen.extend((clause, member) for member in far)
                plain.append(self.predicate(clause.predicate, place))
        return plain

    def predicate(self, predicate: Predicate, place: Place | None = None) -> Scalar:
        """The condition of a predicate whose fields `place` finds (by default: in this scope)."""
        place = place or self._place
        match predicate:
            case Group():
                parts = [self.predicate(part, place) for part in predicate.members]
                return combine(predicate.logic, parts, negated=predicate.negated)
            case RowExists():
                return self._exists(predicate, place)
            case Test(subject=Member() as member):
                return test(predicate.operator, _read(place, member), predicate.operands)
            case Test():
                raise AssertionError("a finished value cannot filter rows")

    def own(self, predicates: tuple[Predicate, ...]) -> Scalar | None:
        """The condition of a measure's own filters. A related row must pass them together with the query's."""
        clauses = [Clause(predicate, members_of(predicate), "") for predicate in predicates]
        dropping = dict.fromkeys(path for clause in clauses for path in self._dropping(clause))
        return self._beside_joined_rows(clauses, tuple(dropping), {})

    def _dropping(self, clause: Clause) -> Iterable[Path]:
        """The required joins beyond a joined row that nothing but a measure's own clause walks: they drop no row."""
        for member in clause.members:
            path = self._on_a_joined_row(member) if self._of_one_row(member) is None else None
            steps = [(*path[:at], edge) for at, edge in enumerate(path) if edge.join.required] if path else []
            yield from [step for step in steps if not any(taken[: len(step)] == step for taken in self._walked)][:1]

    def _beside_joined_rows(
        self, clauses: list[Clause], paths: tuple[Path, ...], seen: dict[Path, Scope]
    ) -> Scalar | None:
        """A measure's own clauses where the joined row has the rows at the end of the paths; they are read there."""
        if paths:
            first, rest = paths[0], paths[1:]
            near = self._scope.at(first[:-1], reason="filter")
            back = (first[-1].reversed(),)
            return self._correlated(
                near, back, lambda inner: self._beside_joined_rows(clauses, rest, {**seen, first: inner})
            )

        def place(member: Member) -> tuple[Scope, Path] | None:
            if (path := self._near(member)) is None:
                return None
            inside = ((inner, path[len(start) :]) for start, inner in seen.items() if path[: len(start)] == start)
            return next(inside, (self._scope, path))

        groups = list(self._groups)
        plain = self._sorted(clauses, groups, place)
        changed = (group for group in groups if group not in self._groups)
        return all_of([*plain, *(self._semi_join(group, place) for group in changed)])

    def has_partner(self, path: Path) -> Scalar:
        """Whether a home row meets a row at the end of the required part of a path."""
        last = max(at for at, edge in enumerate(path, start=1) if edge.join.required)
        back = tuple(edge.reversed() for edge in reversed(path[:last]))
        return self._correlated(self._scope.at(self._route.to_home), back, lambda _: None)

    def policies(self) -> list[Scalar]:
        """The row policies of what the home and the root reach: whoever may not see a row may not see what is its."""
        reached = {*self._graph.reach(self._route.home, "many"), *self._graph.reach(self._route.root)}
        reached |= self._scope.read_objects
        bound = [p for p in self._policies if all(member.ref.object in reached for member in p.members)]
        groups: list[SemiJoin] = []
        plain = self._sorted(bound, groups)
        roots = (p for p in bound if any(self._of_root(m) not in (None, self._near(m)) for m in p.members))
        plain += [self.predicate(policy.predicate, self._place_of_root) for policy in roots]
        return [*plain, *(self._semi_join(group) for group in groups)]

    def _of_root(self, member: Member) -> Path | None:
        return member_path(self._graph, self._route.root, member)

    def _place_of_root(self, member: Member) -> tuple[Scope, Path] | None:
        path = self._of_root(member)
        return None if path is None else (self._scope, path)

    def _policies_inside(self, inner: Scope, back: Path) -> list[Scalar]:
        """The row policies of what the rows on the way through a sub-select reach, and of what is joined to them."""
        read = frozenset(inner.read_objects)

        def place(member: Member) -> tuple[Scope, Path] | None:
            path = self._on_the_way(back, member)
            if path is None and member.ref.object in read:
                return self._from(back[0].source, inner, member)
            return None if path is None else (inner, path)

        bound = (p for p in self._policies if all(place(member) is not None for member in p.members))
        return [self.predicate(policy.predicate, place) for policy in bound]

    # seeing

    def _near(self, member: Member) -> Path | None:
        """The path on which one row of the scope meets at most one row of the member."""
        path = self._of_one_row(member)
        return self._on_a_joined_row(member) if path is None and self._walked else path

    def _of_one_row(self, member: Member) -> Path | None:
        """The path to a member of which a row of the home, of the root or between them has one."""
        route = self._route
        if (path := member_path(self._graph, route.home, member)) is not None:
            return joined(route.to_home, path)
        if (path := member_path(self._graph, route.root, member)) is not None:
            return path
        return self._on_the_way_home(member)

    def _on_the_way_home(self, member: Member) -> Path | None:
        """The path to a member that is seen from a row between the root and the home."""
        to_home = self._route.to_home
        for length in range(len(to_home) - 1, 0, -1):
            further = member_path(self._graph, to_home[length - 1].target, member)
            if further is not None:
                return joined(to_home[:length], further)
        return None

    def _on_a_joined_row(self, member: Member) -> Path | None:
        """The path to a member across a many-to-many step that is walked anyway: it is the same joined row."""
        route = self._route
        for start, lead in {route.home: route.to_home, route.root: ()}.items():
            path = member_path(self._graph, start, member, "many")
            if path is None:
                continue
            path = joined(lead, path)
            if self.walks(path):
                return path
        return None

    def walks(self, path: Path) -> bool:
        """Whether the many-to-many steps of a path from the root are walked anyway, for a dimension or the measure."""
        steps = across(path)
        return any(taken[: len(steps)] == steps for taken in self._walked)

    def _place(self, member: Member) -> tuple[Scope, Path] | None:
        path = self._near(member)
        return None if path is None else (self._scope, path)

    # semi-joins

    def _gather(self, groups: list[SemiJoin], clause: Clause, far: list[Member]) -> bool:
        """Puts a clause with others that one root shows together; False if nothing shows any field of it."""
        route = self._route
        anchors = dict.fromkeys(((route.root, ()), (route.home, route.to_home)))
        for partly in (False, True):
            for anchor, at in anchors:
                seen = [m for m in far if self._root_of(anchor, [m]) is not None]
                if not seen or (len(seen) < len(far) and not partly):
                    continue
                if self._placed(groups, clause, seen, anchor, at):
                    self.unseen.extend((clause, member) for member in far if member not in seen)
                    return True
        return False

    def _placed(self, groups: list[SemiJoin], clause: Clause, seen: list[Member], anchor: str, at: Path) -> bool:
        for position, group in enumerate(groups):
            if group.anchor == anchor and (root := self._root_of(anchor, [*group.far, *seen])) is not None:
                groups[position] = SemiJoin(anchor, at, root, (*group.clauses, clause), (*group.far, *seen))
                return True
        root = self._root_of(anchor, seen)
        if root is not None:
            groups.append(SemiJoin(anchor, at, root, (clause,), tuple(seen)))
        return root is not None

    def _root_of(self, anchor: str, members: list[Member]) -> str | None:
        """The object from which the anchor's row and all the members are seen together."""
        wanted = [waypoint(member) for member in members]
        across = self._graph.reach(anchor, "many")
        return anchor if all(name in across for name in wanted) else self._graph.common_root([anchor, *wanted])

    def _semi_join(self, group: SemiJoin, near: Place | None = None) -> Scalar:
        """Whether the anchor's row has a related row that passes the clauses; `near` finds the fields beside it."""
        if group.root == group.anchor:
            return self._across(group, near or self._place, self._crossings(group), {}, own=near is not None)
        beside = near or self._place
        back = self._graph.any_path(group.root, group.anchor)
        assert back, f"{group.root} does not see {group.anchor}"

        def build(inner: Scope) -> Scalar | None:
            def place(member: Member) -> tuple[Scope, Path] | None:
                return beside(member) or self._from(group.root, inner, member)

            return all_of(self.predicate(clause.predicate, place) for clause in group.clauses)

        return self._correlated(self._scope.at(group.at), back, build)

    def _from(self, start: str, inner: Scope, member: Member) -> tuple[Scope, Path] | None:
        path = member_path(self._graph, start, member) or member_path(self._graph, start, member, "many")
        return None if path is None else (inner, path)

    def _crossing(self, anchor: str, member: Member) -> Path:
        """The way from the anchor to the far end of the first many-to-many step before a member."""
        path = member_path(self._graph, anchor, member, "many")
        assert path, f"{anchor} has no row of {member.ref}"
        return path[: next(at for at, edge in enumerate(path, start=1) if edge.multiplies)]

    def _crossings(self, group: SemiJoin) -> dict[Path, tuple[Member, ...]]:
        """The many-to-many steps that a row of the anchor crosses to far fields, each with the fields beyond it."""
        found: dict[Path, tuple[Member, ...]] = {}
        for member in dict.fromkeys(group.far):
            crossing = self._crossing(group.anchor, member)
            found[crossing] = (*found.get(crossing, ()), member)
        return found

    def _across(
        self,
        group: SemiJoin,
        near: Place,
        crossings: dict[Path, tuple[Member, ...]],
        seen: dict[Path, Scope | None],
        *,
        own: bool,
    ) -> Scalar:
        """Whether the anchor's row passes the clauses with a partner across each step, or with none where it has none.

        `seen` are the partners that were met: the scope of each, None for the lack of one.
        """
        if len(seen) == len(crossings):
            return all_of(self.predicate(c.predicate, self._met(group, near, seen)) for c in group.clauses) or TRUE
        crossing = next(path for path in crossings if path not in seen)
        outer = self._scope.at(group.at)
        back = tuple(edge.reversed() for edge in reversed(crossing))
        related = self._correlated(
            outer, back, lambda inner: self._across(group, near, crossings, {**seen, crossing: inner}, own=own)
        )
        absent = {crossing, *(path for path, inner in seen.items() if inner is None)}
        blank = {member for path in absent for member in crossings[path]}
        if not all(may_hold(clause.predicate, lambda m: None if m in blank else ()) for clause in group.clauses):
            return related
        needed = any(edge.join.required for edge in crossing[:-1])
        if needed and not own:
            self._scope.at((*group.at, *crossing[:-1]), reason="filter")
        beyond = [self._beyond(group.anchor, crossing, member) for member in crossings[crossing]]
        if any(edge.join.required for path in beyond for edge in path) or self._hides_the_lonely(beyond):
            return related
        met = [self._correlated(outer, back[1:], lambda _: None)] if needed and own else []
        alone = Call("not", (self._correlated(outer, back, lambda _: None),))
        passes = self._across(group, near, crossings, {**seen, crossing: None}, own=own)
        without = all_of((*met, alone, passes))
        return Call("or", (related, without)) if without is not None else related

    def _met(self, group: SemiJoin, near: Place, seen: dict[Path, Scope | None]) -> Place:
        """Where fields are read beside the anchor's row, or on the partners that it met."""

        def place(member: Member) -> tuple[Scope, Path] | None:
            if (found := near(member)) is not None or member not in group.far:
                return found
            crossing = self._crossing(group.anchor, member)
            inner = seen[crossing]
            return None if inner is None else self._from(crossing[-1].target, inner, member)

        return place

    def _beyond(self, anchor: str, crossing: Path, member: Member) -> Path:
        """The way to a member from the many-to-many step on, that included."""
        path = member_path(self._graph, anchor, member, "many") or ()
        return path[len(crossing) - 1 :]

    def _hides_the_lonely(self, beyond: list[Path]) -> bool:
        """Whether a row policy on what is read beyond the step lets no row be seen that has nothing there."""
        read = {edge.target for path in beyond for edge in path}
        bound = (p for p in self._policies if p.members and all(m.ref.object in read for m in p.members))
        return any(not may_hold(policy.predicate, lambda _: None) for policy in bound)

    def _correlated(self, outer: str, back: Path, build: Callable[[Scope], Scalar | None]) -> Scalar:
        """EXISTS over the first object of `back`, tied to the row `outer` at the end of it."""
        scope = self._scope
        own = len(back) == 1 and scope.unnests(back[0].source) and back[0].forward
        within = outer if own else None
        inner = Scope(scope.model, self._graph, back[0].source, scope.frames, scope.aliases, within=within)
        tie = None if own else inner.on(back[-1], inner.at(back[:-1], inner=True, reason="filter"), outer)
        condition = build(inner)
        allowed = self._policies_inside(inner, back)
        where = all_of(part for part in (tie, condition, *allowed) if part is not None)
        return Exists(
            Select(
                (Output("one", Literal(1)),), inner.source, tuple(inner.joins), where, name="related", note="semi-join"
            )
        )

    def _exists(self, predicate: RowExists, place: Place) -> Scalar:
        """The operator `exists`: the path may run either way along the joins."""
        subject = predicate.subject
        assert isinstance(subject, Member), "HAVING looks at finished rows"
        found = place(subject)
        there = self._there(subject.ref.object, predicate)
        if found is None or there is None:
            return TRUE if predicate.negated else FALSE  # nothing is related to a row that is not there
        scope, path = found
        exists = self._related(predicate, scope, path, there) if there else self._of_itself(predicate, scope, path)
        return Call("not", (exists,)) if predicate.negated else exists

    def _related(self, predicate: RowExists, scope: Scope, path: Path, there: Path) -> Scalar:
        """Whether the row at a path has such rows of another object."""
        back = tuple(edge.reversed() for edge in reversed(there))

        def build(inner: Scope) -> Scalar | None:
            def inside(member: Member) -> tuple[Scope, Path] | None:
                steps = self._on_the_way(back, member)
                return self._checked(predicate, member, None if steps is None else (inner, steps))

            return all_of(self.predicate(part, inside) for part in predicate.members)

        return self._correlated(scope.at(path, reason="filter"), back, build)

    def _of_itself(self, predicate: RowExists, scope: Scope, path: Path) -> Scalar:
        """Whether the row at a path is there and is such a row: asked for its own object, it is the one related."""

        def inside(member: Member) -> tuple[Scope, Path] | None:
            steps = member_path(self._graph, predicate.target, member)
            return self._checked(predicate, member, None if steps is None else (scope, joined(path, steps)))

        met = (
            scope.column(path, ColumnRef(predicate.target, far), reason="filter")
            for edge in path[-1:]
            for _, far in edge.pairs
        )
        parts = [Call("is_not_null", (key,)) for key in met]
        whole = all_of([*parts, *(self.predicate(part, inside) for part in predicate.members)])
        return TRUE if whole is None else coalesce(whole, FALSE)

    def _checked(
        self, predicate: RowExists, member: Member, found: tuple[Scope, Path] | None
    ) -> tuple[Scope, Path] | None:
        """Where a field of a sub-filter is read; reports one that nothing reaches."""
        if found is None:
            self._out.error(
                "UNREACHABLE_SUBQUERY_FILTER_OBJECT",
                f"'{member.name}' cannot be reached from '{predicate.target}'",
                "where",
                context={"field": member.name, "dataObject": predicate.target},
            )
        return found

    def _on_the_way(self, back: Path, member: Member) -> Path | None:
        """The path to a member that is seen from a row on a way, the one at its start first."""
        for length, edge in enumerate(back):
            steps = member_path(self._graph, edge.source, member)
            if steps is not None:
                return (*back[:length], *steps)
        return None

    def _there(self, source: str, predicate: RowExists) -> Path | None:
        """From the subject's object to the target, by the named join if one is asked for."""
        if predicate.path_name is not None:
            for join in self._scope.model.joins:
                if join.path_name == predicate.path_name and {join.source, join.target} == {source, predicate.target}:
                    return (Edge(join, join.source == source),)
            self._out.error(
                "UNKNOWN_PATH_NAME",
                f"There is no path '{predicate.path_name}' between '{source}' and '{predicate.target}'",
                "where",
                context={"pathName": predicate.path_name},
            )
            return None
        there = self._graph.path(source, predicate.target, "any")
        if there is None:
            self._out.error(
                "NO_JOIN_PATH_TO_SUBQUERY",
                f"No join leads from '{source}' to '{predicate.target}'",
                "where",
                context={"source": source, "target": predicate.target},
            )
        return there


def _read(place: Place, member: Member) -> Scalar:
    found = place(member)
    if found is None:
        return NULL
    scope, path = found
    return truncated(scope, member, scope.member(path, member, reason="filter"))


def may_hold(predicate: Predicate, near: Callable[[Member], Path | None], *, wanted: bool = True) -> bool:
    """Whether a predicate can have the wanted truth value where every far field is NULL."""
    match predicate:
        case Group():
            if predicate.negated:
                return may_hold(Group(predicate.logic, predicate.members), near, wanted=not wanted)
            found = (may_hold(part, near, wanted=wanted) for part in predicate.members)
            return all(found) if (predicate.logic is Logic.AND) is wanted else any(found)
        case Test(subject=Member() as member) if near(member) is None:
            if not predicate.operands and predicate.operator in _WITHOUT_OPERANDS:
                return _WITHOUT_OPERANDS[predicate.operator] is wanted
            return False
        case _:
            return True


def is_text(type_: AbstractType) -> bool:
    """Whether values of the type are text."""
    return type_ in (AbstractType.STRING, AbstractType.JSON)
