"""From where a measure's rows are read: its home, or a root from which also far dimensions can be seen."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sagitta_compiler.model.resolved import ColumnRef
from sagitta_compiler.plan.graph import JoinGraph, Path, joined
from sagitta_compiler.query.bound import BoundDimension, Member


@dataclass(frozen=True, slots=True)
class Route:
    """How rows of `home` are read: from `root`, along `to_home`; `fans` when a home row may be met several times."""

    home: str
    root: str
    to_home: Path
    fans: bool
    paths: dict[Member, Path | None]
    """From the root to each member's object; None where nothing reaches it."""


def waypoint(member: Member) -> str:
    """The object that must be reached for a member: its `via`, else its own."""
    return member.via or member.ref.object


def member_path(graph: JoinGraph, source: str, member: Member, mode: str = "single") -> Path | None:
    """The path from an object to a member, through its `via` if it has one."""
    if member.via is None:
        return graph.path(source, member.ref.object, mode)
    first = graph.path(source, member.via, mode)
    last = graph.path(member.via, member.ref.object)
    return None if first is None or last is None else (*first, *last)


def route(graph: JoinGraph, home: str, dims: Iterable[BoundDimension]) -> Route:
    """The route that shows the rows of `home` by all the dimensions that can be seen."""
    dims = tuple(dims)
    paths: dict[Member, Path | None] = {}
    far: list[Member] = []
    across: set[Member] = set()
    for member in (member for dim in dims for member in dim.members):
        path = member_path(graph, home, member)
        if path is None and (path := member_path(graph, home, member, "many")) is not None:
            across.add(member)
        if path is None and graph.common_root((home, waypoint(member))) is not None:
            far.append(member)
        paths[member] = path
    if not far:
        return Route(home, home, (), bool(across), paths)
    root = graph.common_root((home, *map(waypoint, far))) or _widest_root(graph, home, dims)
    to_home = graph.any_path(root, home)
    assert to_home is not None
    rooted: dict[Member, Path | None] = {}
    for member, path in paths.items():
        if path is not None and member not in across:
            rooted[member] = joined(to_home, path)
        else:
            rooted[member] = member_path(graph, root, member) or member_path(graph, root, member, "many")
    return Route(home, root, to_home, True, rooted)


def _widest_root(graph: JoinGraph, home: str, dims: tuple[BoundDimension, ...]) -> str:
    """Of the roots that show the home with a part of the dimensions, the one that shows most, then most members.

    What is selected several times, at one grain or another, counts once: it is one thing to show.
    """
    near = set(graph.reach(home, "many"))
    asked = {frozenset((waypoint(member), member.ref) for member in dim.members) for dim in dims}
    fields = frozenset[tuple[str, ColumnRef]]().union(*asked)
    shown: dict[frozenset[str], tuple[int, int]] = {}
    for root in graph.roots(home):
        seen = set(graph.reach(root, "many"))
        count = sum(any(point in near | seen for point, _ in dim) for dim in asked)
        far = [point for point, _ in fields if point in seen - near]
        if far:
            shown[frozenset((home, *far))] = count, len(far)
    most = max(shown.values())
    return graph.best_root(names for names, count in shown.items() if count == most)
