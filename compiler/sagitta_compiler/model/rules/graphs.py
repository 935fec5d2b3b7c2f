"""Small questions about directed graphs, answered without recursion."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

Node = TypeVar("Node")


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
