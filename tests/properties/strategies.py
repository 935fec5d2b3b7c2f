"""Hypothesis strategies: models with their data, measures, metrics and queries, small enough to shrink well."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from hypothesis import strategies as st
from oracle.queries import Case, Populated, draw_populated, draw_query

T = TypeVar("T")


class Drawn:
    """Choices that hypothesis makes, and takes back one by one when it shrinks."""

    def __init__(self, draw: st.DrawFn) -> None:
        self._draw = draw

    def choose(self, items: Sequence[T]) -> T:
        return items[self.integer(0, len(items) - 1)]

    def integer(self, low: int, high: int) -> int:
        return self._draw(st.integers(low, high))

    def chance(self, percent: int) -> bool:
        return self.integer(0, 99) >= 100 - percent


@st.composite
def populated_worlds(draw: st.DrawFn) -> Populated:
    """A model of one to six objects with data, measures and metrics."""
    return draw_populated(Drawn(draw), most_rows=4)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """A query on such a model."""
    chooser = Drawn(draw)
    return draw_query(chooser, draw_populated(chooser, most_rows=4))
