"""What a compilation needs to know besides the model and the query."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from sagitta_compiler.query.query import FilterNode


@dataclass(frozen=True, slots=True)
class CompileContext:
    """The dialect, the clock and the caller.

    `now` binds relative dates (aware; its zone decides what today is). `row_policies` maps a data object to the
    predicates that the caller's rows must pass; they are applied like required static filters.
    """

    dialect: str = "duckdb"
    now: dt.datetime | None = None
    row_policies: Mapping[str, tuple[FilterNode, ...]] = field(default_factory=lambda: MappingProxyType({}))
