"""The dialects by name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from sagitta_compiler.sql.dialects.base import Dialect, UnsupportedError
from sagitta_compiler.sql.dialects.bigquery import BigQuery
from sagitta_compiler.sql.dialects.clickhouse import ClickHouse
from sagitta_compiler.sql.dialects.databricks import Databricks, Spark
from sagitta_compiler.sql.dialects.dremio import Dremio
from sagitta_compiler.sql.dialects.duckdb import DuckDB
from sagitta_compiler.sql.dialects.mysql import MySQL
from sagitta_compiler.sql.dialects.postgres import Postgres
from sagitta_compiler.sql.dialects.snowflake import Snowflake
from sagitta_compiler.sql.dialects.sqlite import SQLite
from sagitta_compiler.sql.dialects.trino import Trino

_ALL: tuple[Dialect, ...] = (
    *(BigQuery(), ClickHouse(), Databricks(), Dremio(), DuckDB(), MySQL()),
    *(Postgres(), Snowflake(), Spark(), SQLite(), Trino()),
)
DIALECTS: Mapping[str, Dialect] = MappingProxyType({dialect.name: dialect for dialect in _ALL})

__all__ = ["DIALECTS", "Dialect", "UnsupportedError"]
