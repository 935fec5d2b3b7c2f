"""Small questions about directed graphs, answered without recursion."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Final, TypeVar

Node = TypeVar("Node")

MAX_CYCLES: Final = 20
"""How many circles of one kind are reported: more would only hide each other."""
_MAX_SHOWN = 8


def cycles(edges: Mapping[Node, Iterable[Node]]) -> Iterator[tuple[Node, ...]]:
    """Yields the first circles of a graph."""
    return islice(first_cycle(edges), MAX_CYCLES)


def shown_cycle(cycle: tuple[Node, ...]) -> str:
    """Returns a circle as `A -> B -> A`, a long one in part."""
    if len(cycle) > _MAX_SHOWN:
        names = [*map(str, cycle[: _MAX_SHOWN - 1]), "…", str(cycle[-1]), str(cycle[0])]
    else:
        names = [*map(str, cycle), str(cycle[0])]
    return " -> ".join(names)


def too_deep(edges: Mapping[Node, Iterable[Node]], limit: int) -> Node | None:
    """Returns a node from which a path of more than `limit` nodes leads in a graph without circles, or None."""
    heights: dict[Node, int] = {}
    for start in edges:
        trail: list[tuple[Node, Iterator[Node]]] = [] if start in heights else [(start, iter(edges[start]))]
        while trail:
            node, following = trail[-1]
            step = next((n for n in following if n in edges and n not in heights), None)
            if step is not None:
                trail.append((step, iter(edges[step])))
                continue
            trail.pop()
            heights[node] = 1 + max((heights.get(n, 0) for n in edges[node]), default=0)
            if heights[node] > limit:
                return node
    return None


def first_cycle(edges: Mapping[Node, Iterable[Node]]) -> Iterator[tuple[Node, ...]]:
    """Yields the cycles that a depth-first walk closes, each once, as the nodes in their order."""
    done: set[Node] = set()
    for start in edges:
        if start in done:
            continue
        trail: dict[Node, Iterator[Node]] = {start: iter(edges[start])}
        while trail:
            node = next(reversed(trail))
            following = next(trail[node], None)
            if following is None:
                done.add(node)
                del trail[node]
            elif following in trail:
                nodes = list(trail)
                yield tuple(nodes[nodes.index(following) :])
            elif following in edges and following not in done:
                trail[following] = iter(edges[following])


def reachable(start: Node, edges: Mapping[Node, Iterable[Node]], avoid: frozenset[Node] = frozenset()) -> set[Node]:
    """Returns the nodes that can be reached from a start, itself included, without entering those to avoid."""
    found, waiting = {start}, [start]
    while waiting:
        for following in edges.get(waiting.pop(), ()):
            if following not in found and following not in avoid:
                found.add(following)
                waiting.append(following)
    return found
