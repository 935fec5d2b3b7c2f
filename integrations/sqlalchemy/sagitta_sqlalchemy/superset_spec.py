"""What Apache Superset must know about the database: time grains, types, and that measures are metrics."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, ClassVar

import pyarrow as pa
from superset.constants import TimeGrain
from superset.db_engine_specs.base import BaseEngineSpec
from superset.errors import SupersetErrorType

from sagitta_sqlalchemy.types import sql_type

MODEL_TABLE = "model"
"""The table of a model that has every dimension, measure and metric."""
MEASURED = ("measures", "metrics")
"""The views of a model that list what is a metric in Superset."""
_GRAINS = {
    TimeGrain.SECOND: "second",
    TimeGrain.MINUTE: "minute",
    TimeGrain.HOUR: "hour",
    TimeGrain.DAY: "day",
    TimeGrain.WEEK: "week",
    TimeGrain.MONTH: "month",
    TimeGrain.QUARTER: "quarter",
    TimeGrain.YEAR: "year",
}


class SagittaEngineSpec(BaseEngineSpec):  # type: ignore[misc]  # Superset is not in our environment
    """Sagitta as a database of Superset."""

    engine = "sagitta"
    engine_name = "Sagitta"
    drivers: ClassVar[dict[str, str]] = {"flightsql": "Arrow Flight SQL"}
    default_driver = "flightsql"
    sqlalchemy_uri_placeholder = "sagitta://user:password@host:32010/model[?tls=true]"
    disable_ssh_tunneling = True
    supports_file_upload = False
    max_column_name_length = 255
    _time_grain_expressions: ClassVar[dict[str | None, str]] = {
        None: "{col}",
        **{grain: f"DATE_TRUNC('{unit}', {{col}})" for grain, unit in _GRAINS.items()},
    }
    custom_errors: ClassVar[dict[re.Pattern[str], tuple[str, SupersetErrorType, dict[str, Any]]]] = {
        re.compile(r'There is no column "?(?P<column_name>[^"]+)"? in (?P<location>\S+)\.'): (
            'There is no column "%(column_name)s" in %(location)s.',
            SupersetErrorType.COLUMN_DOES_NOT_EXIST_ERROR,
            {},
        ),
        re.compile(r"There is no model '(?P<schema_name>[^']+)'"): (
            'There is no model "%(schema_name)s".',
            SupersetErrorType.SCHEMA_DOES_NOT_EXIST_ERROR,
            {},
        ),
    }

    @classmethod
    def convert_dttm(cls, target_type: str, dttm: datetime, db_extra: dict[str, Any] | None = None) -> str | None:
        """Returns a point in time as SQL of the column's type."""
        kind = target_type.upper()
        if kind == "DATE":
            return f"DATE '{dttm.date().isoformat()}'"
        if kind.startswith(("TIMESTAMP", "DATETIME")):
            return f"TIMESTAMP '{dttm.isoformat(sep=' ', timespec='microseconds')}'"
        return None

    @classmethod
    def get_datatype(cls, type_code: Any) -> str | None:
        """Returns the name of a result column's type; the driver tells Arrow types."""
        return str(sql_type(type_code)) if isinstance(type_code, pa.DataType) else super().get_datatype(type_code)

    @classmethod
    def get_columns(cls, inspector: Any, table: Any, options: dict[str, Any] | None = None) -> Any:
        """Returns the columns to group and filter by: of a model's table those that are no metrics."""
        measured = _measured(inspector, table)
        return [c for c in super().get_columns(inspector, table, options) if c["column_name"] not in measured]

    @classmethod
    def get_metrics(cls, database: Any, inspector: Any, table: Any) -> Any:
        """Returns the metrics of a new dataset: the measures and metrics of the model, else a count of rows."""
        measured = _measured(inspector, table)
        if not measured:
            return super().get_metrics(database, inspector, table)
        return [
            {
                "metric_name": name,
                "verbose_name": name,
                "metric_type": None,
                "expression": f"MEASURE({_quoted(name)})",
                "description": comment,
            }
            for name, comment in measured.items()
        ]


def _measured(inspector: Any, table: Any) -> dict[str, str | None]:
    """The measures and metrics of a model by name, with their descriptions; nothing for any other table."""
    if table.table != MODEL_TABLE:
        return {}
    views = set(inspector.get_view_names(table.schema)).intersection(MEASURED)
    columns = [column for view in MEASURED if view in views for column in inspector.get_columns(view, table.schema)]
    return {column["name"]: column.get("comment") for column in columns}


def _quoted(name: str) -> str:
    escaped = name.replace('"', '""')
    return f'"{escaped}"'
