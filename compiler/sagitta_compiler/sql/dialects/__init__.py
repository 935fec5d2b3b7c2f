"""The dialects by name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from sagitta_compiler.sql.dialects.base import Dialect, UnsupportedError
from sagitta_compiler.sql.dialects.duckdb import DuckDB

DIALECTS: Mapping[str, Dialect] = MappingProxyType({dialect.name: dialect for dialect in (DuckDB(),)})

__all__ = ["DIALECTS", "Dialect", "UnsupportedError"]
