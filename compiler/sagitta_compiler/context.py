"""What a compilation needs to know besides the model and the query."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

from sagitta_compiler.query.query import FilterNode


@dataclass(frozen=True, slots=True)
class CompileContext:
    """The dialect, the clock and the caller.

    `now` binds relative dates (aware; the model's zone decides what day that is). `row_policies` maps a data object to
    the predicates that the caller's rows must pass; they are applied like required static filters. None says nothing
    about the caller: a model with row policies is then refused.
    """

    dialect: str = "duckdb"
    now: dt.datetime | None = None
    row_policies: Mapping[str, tuple[FilterNode, ...]] | None = None
