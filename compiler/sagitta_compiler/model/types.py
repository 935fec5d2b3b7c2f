"""The closed vocabularies of the model language and its data types."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum


class AbstractType(StrEnum):
    """The type of a column, as the model declares it."""

    STRING = "string"
    JSON = "json"
    INT = "int"
    FLOAT = "float"
    DATE = "date"
    TIME = "time"
    TIME_TZ = "time_tz"
    TIMESTAMP = "timestamp"
    TIMESTAMP_TZ = "timestamp_tz"
    BOOLEAN = "boolean"

    @property
    def is_temporal(self) -> bool:
        """Whether a time grain applies: dates and timestamps, not times of day."""
        return self in (AbstractType.DATE, AbstractType.TIMESTAMP, AbstractType.TIMESTAMP_TZ)

    @property
    def is_numeric(self) -> bool:
        return self in (AbstractType.INT, AbstractType.FLOAT)


class NumClass(StrEnum):
    """How a numeric column may be aggregated."""

    CATEGORICAL = "categorical"
    ADDITIVE = "additive"
    NON_ADDITIVE = "non-additive"


class TimeGrain(StrEnum):
    """A calendar period to which a time dimension is truncated; the fiscal ones follow `settings.fiscalYearStart`."""

    YEAR = "year"
    QUARTER = "quarter"
    MONTH = "month"
    WEEK = "week"
    DAY = "day"
    HOUR = "hour"
    MINUTE = "minute"
    SECOND = "second"
    FISCAL_YEAR = "fiscal_year"
    FISCAL_QUARTER = "fiscal_quarter"


class Cardinality(StrEnum):
    """How many rows of the target match a row of the declaring object, and the reverse."""

    MANY_TO_ONE = "many-to-one"
    ONE_TO_ONE = "one-to-one"
    MANY_TO_MANY = "many-to-many"


class Aggregation(StrEnum):
    """The aggregate functions of measures. `agg` and `aggregate` are read as MEASURE, `*_samp` as their plain forms."""

    SUM = "sum"
    COUNT = "count"
    COUNT_DISTINCT = "count_distinct"
    AVG = "avg"
    MIN = "min"
    MAX = "max"
    ANY_VALUE = "any_value"
    MEDIAN = "median"
    MODE = "mode"
    LISTAGG = "listagg"
    STDDEV = "stddev"
    STDDEV_POP = "stddev_pop"
    VARIANCE = "variance"
    VAR_POP = "var_pop"
    CORR = "corr"
    COVAR_POP = "covar_pop"
    COVAR_SAMP = "covar_samp"
    REGR_SLOPE = "regr_slope"
    REGR_INTERCEPT = "regr_intercept"
    PERCENTILE = "percentile"
    MEASURE = "measure"


class GrainMode(StrEnum):
    """RELATIVE starts from the query's own dimensions (or filters), FIXED from none."""

    RELATIVE = "RELATIVE"
    FIXED = "FIXED"


class MetricType(StrEnum):
    """The kinds of metric."""

    DERIVED = "derived"
    CUMULATIVE = "cumulative"
    PERIOD_OVER_PERIOD = "period_over_period"
    WINDOW = "window"


class CumulativeType(StrEnum):
    """The aggregate that runs over the frame of a cumulative metric."""

    SUM = "sum"
    AVG = "avg"
    MIN = "min"
    MAX = "max"
    COUNT = "count"


class Comparison(StrEnum):
    """What a period-over-period metric reports about the two periods."""

    RATIO = "ratio"
    DIFFERENCE = "difference"
    PREVIOUS_VALUE = "previousValue"
    PERCENT_CHANGE = "percentChange"


class WindowFunction(StrEnum):
    """The functions of window metrics."""

    RANK = "rank"
    DENSE_RANK = "dense_rank"
    ROW_NUMBER = "row_number"
    NTILE = "ntile"
    LAG = "lag"
    LEAD = "lead"
    FIRST_VALUE = "first_value"
    LAST_VALUE = "last_value"


class SemiAdditiveFunction(StrEnum):
    """How a semi-additive measure chooses among the points in time of one entity."""

    FIRST = "first"
    LAST = "last"
    MIN = "min"
    MAX = "max"
    AVG = "avg"


class Direction(StrEnum):
    """A sort direction."""

    ASC = "asc"
    DESC = "desc"


class FilterOperator(StrEnum):
    """The operators of filters; every synonym is normalised to one of these when a text is read."""

    EQUALS = "equals"
    NOT_EQUALS = "notequals"
    GT = "gt"
    GTE = "gte"
    LT = "lt"
    LTE = "lte"
    IN = "inlist"
    NOT_IN = "notinlist"
    SET = "set"
    NOT_SET = "notset"
    CONTAINS = "contains"
    NOT_CONTAINS = "notcontains"
    STARTS_WITH = "starts_with"
    ENDS_WITH = "ends_with"
    LIKE = "like"
    NOT_LIKE = "notlike"
    ILIKE = "ilike"
    NOT_ILIKE = "notilike"
    BETWEEN = "between"
    NOT_BETWEEN = "notbetween"
    REGEX = "regex"
    NOT_REGEX = "notregex"
    BLANK = "blank"
    NOT_BLANK = "notblank"
    LENGTH_EQ = "length_eq"
    LENGTH_GT = "length_gt"
    LENGTH_LT = "length_lt"
    RELATIVE = "relative"
    EXISTS = "exists"
    NOT_EXISTS = "nonexists"


OPERATOR_SYNONYMS: dict[str, FilterOperator] = {
    **{op.value: op for op in FilterOperator},
    "=": FilterOperator.EQUALS,
    "eq": FilterOperator.EQUALS,
    "!=": FilterOperator.NOT_EQUALS,
    "<>": FilterOperator.NOT_EQUALS,
    "neq": FilterOperator.NOT_EQUALS,
    ">": FilterOperator.GT,
    "greater": FilterOperator.GT,
    ">=": FilterOperator.GTE,
    "greater_eq": FilterOperator.GTE,
    "<": FilterOperator.LT,
    "less": FilterOperator.LT,
    "<=": FilterOperator.LTE,
    "less_eq": FilterOperator.LTE,
    "in": FilterOperator.IN,
    "not_in": FilterOperator.NOT_IN,
    "is_not_null": FilterOperator.SET,
    "is_null": FilterOperator.NOT_SET,
    "not_contains": FilterOperator.NOT_CONTAINS,
    "not_like": FilterOperator.NOT_LIKE,
    "not_between": FilterOperator.NOT_BETWEEN,
    "not_regex": FilterOperator.NOT_REGEX,
    "not_blank": FilterOperator.NOT_BLANK,
    "not_exists": FilterOperator.NOT_EXISTS,
}
"""Every documented spelling of an operator."""


@dataclass(frozen=True, slots=True)
class DataType:
    """A result type: `decimal(p, s)` or one of the simple names of the `dataType` vocabulary."""

    name: str
    precision: int | None = None
    scale: int | None = None

    def __str__(self) -> str:
        if self.precision is None:
            return self.name
        return f"{self.name}({self.precision}, {self.scale or 0})"


SIMPLE_DATA_TYPES = frozenset({"bigint", "integer", "double", "date", "timestamp", "time", "string", "boolean"})
_DECIMAL = re.compile(r"\s*decimal\s*\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\)\s*", re.IGNORECASE)
MAX_DECIMAL_PRECISION = 131072

BIGINT = DataType("bigint")


def parse_data_type(text: str) -> DataType | None:
    """Reads a `dataType`; None when it is not in the vocabulary."""
    if match := _DECIMAL.fullmatch(text):
        precision, scale = int(match[1]), int(match[2] or 0)
        return (
            DataType("decimal", precision, scale)
            if 0 < precision <= MAX_DECIMAL_PRECISION and scale <= precision
            else None
        )
    name = text.strip().lower()
    return DataType(name) if name in SIMPLE_DATA_TYPES else None
