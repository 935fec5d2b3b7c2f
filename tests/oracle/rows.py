"""Reads the rows of a leaf: its home rows with everything that it looks at, filters applied."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from oracle import values as v
from oracle.relations import Context, FieldRef, Path, Row, Step
from oracle.scopes import Anchor, Dimension, Scope, Scoper, flat_clauses
from sagitta_compiler.query.query import FilterNode

Test = Callable[[Context], bool]


@dataclass(frozen=True)
class Reading:
    """The rows of a leaf, and the tests of the measure's own filters on them."""

    scope: Scope
    contexts: tuple[Context, ...]
    fields: tuple[FieldRef, ...]
    """What is asked of the rows; what filters look at is read beside it and never multiplies them."""
    tests: tuple[Test, ...] = ()

    def joined_rows(self, contexts: Iterable[Context]) -> list[Context]:
        """Returns the contexts that differ in more than the rows that filters look at."""
        paths = [(), self.scope.to_home, *(path for ref in self.fields if (path := self.scope.paths[ref]) is not None)]
        prefixes = {path[:length] for path in paths for length in range(len(path) + 1)}
        return list({tuple(context[prefix] for prefix in prefixes): context for context in contexts}.values())


@dataclass
class Group:
    """Clauses that one root serves together: they must hold on one and the same row of that root."""

    anchor: Anchor
    clauses: list[FilterNode]


class RowReader:
    """Reads rows under the filters of the model, of the caller and of the query."""

    def __init__(self, scoper: Scoper, statics: Sequence[FilterNode], policies: Sequence[FilterNode]) -> None:
        self.scoper = scoper
        self.world = scoper.world
        self.statics = tuple(statics)
        self.policies = tuple(policies)

    @property
    def is_restricted(self) -> bool:
        return bool(self.statics or self.policies)

    def read(
        self,
        home: str,
        dims: Sequence[Dimension],
        where: Sequence[FilterNode],
        *,
        near: Sequence[FieldRef] = (),
        shown: Sequence[FieldRef] = (),
        own_filters: Sequence[FilterNode] = (),
    ) -> Reading:
        """Returns the rows that have a home row and pass, with the fields of `dims` and those `near` the home.

        `shown` fields only drop rows, by required joins.
        """
        self.check_statics(home)
        clauses = flat_clauses((*self.statics, *where, *self._near_policies(home)))
        own = flat_clauses(own_filters)
        self.scoper.check_exists((*clauses, *own))
        anchor = self.scoper.anchor(home, dims)
        asked = [*(ref for dim in dims for ref in dim), *near]
        groups, apart = self._groups(anchor, clauses, asked)
        narrowing, own_apart = self._narrowing(anchor, clauses, own, asked, groups)
        across = self._across(anchor, (*clauses, *own), asked)
        here = [clause for clause in clauses if self._is_here(anchor, clause) and clause not in apart]
        dropping = [ref for ref in shown if self._drops(home, ref)]
        seen = self._seen_fields(anchor, [clause for clause in clauses if clause not in apart])
        seen += [ref for ref in self._seen_fields(anchor, apart) if ref not in across]
        walked = [*asked, *dropping, *seen]
        looked_at = self._seen_fields(anchor, [clause for clause in own if clause not in own_apart])
        looked_at += [ref for ref in self._seen_fields(anchor, own_apart) if ref not in across]
        alone = [ref for ref in looked_at if self._drops_alone(anchor, ref, walked)]
        beside = [ref for ref in looked_at if ref not in alone]
        scope, found = self._contexts(anchor, walked, here, beside)
        scope, found = self._beside(scope, found, anchor, alone)
        for group in groups:
            found = list(filter(self._membership(scope, group, across), found))
        tests: list[Test] = [partial(self._holds, clause, scope) for clause in own if clause not in own_apart]
        tests += [self._membership(scope, group, across) for group in narrowing]
        tests += [partial(self._holds, policy, scope) for policy in self._policies_beside(anchor, walked, beside)]
        tests += [partial(_is_there, path=self._needed(scope, anchor, ref)) for ref in alone]
        return Reading(scope, tuple(found), tuple(asked), tuple(tests))

    def _is_here(self, anchor: Anchor, clause: FilterNode) -> bool:
        """Whether a clause is tested on the anchor's own rows (a field that nothing reaches is NULL on them)."""
        return all(
            self.scoper.is_here(anchor, ref) or self.scoper.is_hopeless(anchor, ref)
            for ref in self.scoper.clause_fields([clause])
        )

    def _groups(
        self, anchor: Anchor, clauses: Sequence[FilterNode], asked: Sequence[FieldRef]
    ) -> tuple[list[Group], list[FilterNode]]:
        """Parts far clauses into semi-joins: as few as there are roots that serve some of them together.

        A root that serves a group sees the fields of clauses across joins that multiply, too: on the same row of it.
        """
        groups: list[Group] = []
        self._join(groups, anchor, [clause for clause in clauses if not self._is_here(anchor, clause)])
        if groups:
            groups[0].clauses.extend(clause for clause in clauses if self._crosses(anchor, clause, asked))
        return groups, [clause for group in groups for clause in group.clauses]

    def _join(self, groups: list[Group], anchor: Anchor, clauses: Iterable[FilterNode]) -> list[Group]:
        """Adds clauses to the groups that serve them, or to new ones; returns the groups that have changed."""
        changed: dict[int, Group] = {}
        for clause in clauses:
            found = (g for g in groups if self._is_served(anchor, g.anchor, [*g.clauses, clause]))
            group = next(found, None)
            if group is None:
                group = Group(self._carrier(anchor, clause), [])
                groups.append(group)
            group.clauses.append(clause)
            changed[id(group)] = group
        return list(changed.values())

    def _narrowing(
        self,
        anchor: Anchor,
        where: Sequence[FilterNode],
        own: Sequence[FilterNode],
        asked: Sequence[FieldRef],
        groups: Sequence[Group],
    ) -> tuple[list[Group], list[FilterNode]]:
        """Parts a measure's own far filters: each is one more AND for the rows that WHERE leaves."""
        mine = [Group(group.anchor, list(group.clauses)) for group in groups]
        far = [clause for clause in own if not self._is_here(anchor, clause)]
        changed = self._join(mine, anchor, far)
        crossing = [clause for clause in own if self._crosses(anchor, clause, asked)]
        if not mine or not crossing + far:
            return [], []
        if not groups:
            mine[0].clauses.extend(clause for clause in where if self._crosses(anchor, clause, asked))
        mine[0].clauses.extend(crossing)
        if crossing and mine[0] not in changed:
            changed.append(mine[0])
        return changed, [*far, *crossing]

    def _crosses(self, anchor: Anchor, clause: FilterNode, asked: Sequence[FieldRef]) -> bool:
        """Whether a clause that the anchor serves looks across a join that multiplies and that nothing else walks."""
        return self._is_here(anchor, clause) and bool(self._across(anchor, [clause], asked))

    def _across(self, anchor: Anchor, clauses: Sequence[FilterNode], asked: Sequence[FieldRef]) -> list[FieldRef]:
        """Returns the fields of clauses that lie across a join that multiplies and that nothing else walks."""
        paths = self.scoper.scope(anchor, asked).all_paths()
        taken = {path[:length] for path in paths for length in range(len(path) + 1)}
        found: list[FieldRef] = []
        for ref in self.scoper.clause_fields(clauses):
            path = (self.scoper.scope(anchor, [ref]).paths[ref] or ()) if self.scoper.is_here(anchor, ref) else ()
            last = max((at for at, step in enumerate(path, start=1) if step.multiplies), default=0)
            if path[:last] not in taken:
                found.append(ref)
        return found

    def _carrier(self, anchor: Anchor, clause: FilterNode) -> Anchor:
        """The rows that a far clause restricts: the anchor's, else the home's."""
        at_home = Anchor(anchor.home, anchor.home)
        for candidate in (anchor, at_home):
            if self._is_served(anchor, candidate, [clause]):
                return candidate
        raise v.UndecidedError(f"no single root serves the fields of a filter on {anchor.home}")

    def _is_served(self, carrier: Anchor, anchor: Anchor, clauses: Sequence[FilterNode]) -> bool:
        """Whether one root brings the fields of the clauses that the carrier's rows lack to the rows of an anchor."""
        refs = [ref for ref in self.scoper.clause_fields(clauses) if not self.scoper.is_here(carrier, ref)]
        if any(
            self.scoper.is_reachable(anchor.home, ref) and not self.scoper.is_reachable(anchor.object, ref)
            for ref in refs
        ):
            return False
        return self.scoper.serves(anchor.object, refs)

    def _seen_fields(self, anchor: Anchor, clauses: Sequence[FilterNode]) -> list[FieldRef]:
        """Returns the fields of clauses that are read on the anchor's own rows, where nothing reaches them as NULL."""
        scoper = self.scoper
        fields = scoper.clause_fields(clauses)
        return [ref for ref in fields if scoper.is_here(anchor, ref) or scoper.is_hopeless(anchor, ref)]

    def _drops_alone(self, anchor: Anchor, ref: FieldRef, walked: Sequence[FieldRef]) -> bool:
        """Whether a required join would drop rows for a measure's own filter alone, beyond a join that multiplies.

        A measure's own filter removes no group, so it only looks whether such rows are there.
        """
        path = self.scoper.scope(anchor, [ref]).paths[ref] or ()
        taken = {step for path in self.scoper.scope(anchor, walked).all_paths() for step in path}
        required = any(step.join.required for step in path if step not in taken)
        return required and any(step.multiplies for step in path)

    def _beside(
        self, scope: Scope, contexts: list[Context], anchor: Anchor, refs: Sequence[FieldRef]
    ) -> tuple[Scope, list[Context]]:
        """The contexts with the rows of further fields, without dropping those that have none."""
        paths = dict(scope.paths)
        walked = {path[:length] for path in scope.all_paths() for length in range(len(path) + 1)}
        for ref in refs:
            path = self.scoper.scope(anchor, [ref]).paths[ref] or ()
            known = max(length for length in range(len(path) + 1) if path[:length] in walked)
            paths[ref] = path[:known] + tuple(_optional(step) for step in path[known:])
        wider = Scope(scope.root, scope.to_anchor, scope.to_home, paths)
        return wider, self.world.extended(contexts, wider.all_paths()) if refs else contexts

    def _needed(self, scope: Scope, anchor: Anchor, ref: FieldRef) -> Path:
        """The way to the last row that a required join on the way to a field asks for."""
        strict, path = self.scoper.scope(anchor, [ref]).paths[ref], scope.paths[ref]
        assert strict is not None
        assert path is not None
        return path[: max(length for length, step in enumerate(strict, start=1) if step.join.required)]

    def _membership(self, scope: Scope, group: Group, across: Sequence[FieldRef]) -> Test:
        """A semi-join: whether the anchor's row of a context has a row of the root that passes the clauses.

        The fields that the scope has are read there, but for those across joins that only filters walk.
        """
        anchor, clauses = group.anchor, group.clauses
        fields = self.scoper.clause_fields(clauses)
        far = [ref for ref in fields if ref in across or scope.paths.get(ref) is None]
        inner, found = self._contexts(anchor, far, ())
        related: dict[Row | None, list[Context]] = {}
        for context in found:
            related.setdefault(context[inner.to_anchor], []).append(context)
        path: Path = scope.to_home if anchor.object == anchor.home else scope.to_anchor

        def test(context: Context) -> bool:
            def holds(clause: FilterNode, other: Context) -> bool:
                return (
                    self.scoper.holds_at(clause, lambda ref: (inner, other) if ref in far else (scope, context)) is True
                )

            others = related.get(context[path], ())
            return any(all(holds(clause, other) for clause in clauses) for other in others)

        return test

    def _holds(self, clause: FilterNode, scope: Scope, context: Context) -> bool:
        return self.scoper.holds(clause, scope, context) is True

    def _contexts(
        self,
        anchor: Anchor,
        refs: Sequence[FieldRef],
        clauses: Sequence[FilterNode],
        beside: Sequence[FieldRef] = (),
    ) -> tuple[Scope, list[Context]]:
        """Returns the contexts that have a home row and pass the clauses and the policies of what is read.

        What a measure's own filters look at `beside` that hides no row: its policies are theirs.
        """
        scoper = self.scoper
        seen = self._policies_of(anchor, refs)
        more = scoper.clause_fields([*seen, *self._policies_beside(anchor, refs, beside)])
        scope = scoper.scope(anchor, list(dict.fromkeys([*refs, *beside, *more])))
        found = self.world.contexts(scope.root, scope.all_paths())
        found = [context for context in found if context[scope.to_home] is not None]
        found = [context for context in found if scoper.is_visible(context[()])]
        return scope, [c for c in found if all(scoper.holds(one, scope, c) is True for one in (*clauses, *seen))]

    def _policies_of(self, anchor: Anchor, refs: Sequence[FieldRef]) -> list[FilterNode]:
        """Returns the policies of what is read for fields, without those that bind every leaf of the home."""
        scope = self.scoper.scope(anchor, list(dict.fromkeys(refs)))
        touched = {scope.root} | {step.destination for path in scope.all_paths() for step in path}
        return [p for p in self.policies if self._is_about(p, touched) and not self._is_near(anchor.home, p)]

    def _policies_beside(
        self, anchor: Anchor, refs: Sequence[FieldRef], beside: Sequence[FieldRef]
    ) -> list[FilterNode]:
        known = self._policies_of(anchor, refs)
        return [policy for policy in self._policies_of(anchor, [*refs, *beside]) if policy not in known]

    def _is_about(self, policy: FilterNode, objects: set[str]) -> bool:
        return all(ref.column.object in objects for ref in self.scoper.clause_fields([policy]))

    def _is_near(self, home: str, policy: FilterNode) -> bool:
        return all(self.scoper.is_near(home, ref) for ref in self.scoper.clause_fields([policy]))

    def _near_policies(self, home: str) -> list[FilterNode]:
        """Returns the row policies that bind every leaf of a home: those on it and on what it reaches."""
        return [policy for policy in self.policies if self._is_near(home, policy)]

    def check_statics(self, home: str) -> None:
        for ref in self.scoper.clause_fields(self.statics):
            if not self.scoper.is_reachable(home, ref):
                raise v.RefusedError(f"{home} does not reach {ref.column}", "UNREACHABLE_REQUIRED_OBJECT")

    def _drops(self, home: str, ref: FieldRef) -> bool:
        """Whether the way from the home to a shown dimension has a required join."""
        if not self.scoper.is_near(home, ref):
            return False
        path = self.scoper.graph.path_via(home, ref.via, ref.column.object)
        return path is not None and any(step.join.required for step in path)


def _optional(step: Step) -> Step:
    return replace(step, join=replace(step.join, required=False))


def _is_there(context: Context, path: Path) -> bool:
    return context[path] is not None
