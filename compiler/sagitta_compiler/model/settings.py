"""The model's settings, each checked where it stands."""

from __future__ import annotations

import re
import zoneinfo
from functools import lru_cache

from sagitta_compiler.model.document import SettingsDocument
from sagitta_compiler.model.report import Reporter
from sagitta_compiler.model.resolved import Settings
from sagitta_compiler.model.types import DataType, parse_data_type
from sagitta_compiler.names import did_you_mean, near

DIALECTS = (
    *("bigquery", "clickhouse", "databricks", "dremio", "duckdb", "mysql", "postgres", "snowflake"),
    *("spark", "sqlite", "trino"),
)
_LOCALE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")


@lru_cache(maxsize=1024)
def is_time_zone(name: str) -> bool:
    """Whether a name is an IANA time zone."""
    try:
        zoneinfo.ZoneInfo(name)
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
        return False
    return True


def resolve_settings(document: SettingsDocument, report: Reporter) -> Settings:
    """Returns the settings; what is not valid is reported and left at its default."""
    check = _Check(document, report)
    return Settings(
        default_numeric_data_type=check.decimal("default_numeric_data_type"),
        default_timezone=check.zone("default_timezone"),
        override_database_timezone=document.override_database_timezone,
        default_dialect=check.choice("default_dialect", DIALECTS),
        default_locale=check.locale("default_locale"),
        expression_mode=check.choice("expression_mode", ("permissive", "portable")) or "permissive",
        query_timezone=check.zone("query_timezone"),
        week_start=check.choice("week_start", ("monday", "sunday")) or "monday",
        fiscal_year_start=document.fiscal_year_start,
        declared=tuple(_key(name) for name in SettingsDocument.model_fields if name in document.model_fields_set),
    )


def _key(name: str) -> str:
    return SettingsDocument.model_fields[name].alias or name


class _Check:
    """Checks one setting after the other."""

    def __init__(self, document: SettingsDocument, report: Reporter) -> None:
        self._document, self._report = document, report

    def _text(self, name: str, hint: str) -> str | None:
        value: str | None = getattr(self._document, name)
        if name in self._document.model_fields_set and not value:
            self._refuse(name, "must not be empty", hint)
            return None
        return value

    def _refuse(self, name: str, what: str, hint: str, suggestions: tuple[str, ...] = ()) -> None:
        key = _key(name)
        self._report.error("INVALID_SETTING", f"'{key}' {what}", ("settings", key), hint, suggestions=suggestions)

    def choice(self, name: str, allowed: tuple[str, ...]) -> str | None:
        hint = f"Use one of: {', '.join(allowed)}."
        value = self._text(name, hint)
        if value is None or value in allowed:
            return value
        suggestions = near(value.lower(), allowed)
        self._refuse(name, f"must not be '{value}'", did_you_mean(suggestions, hint), suggestions)
        return None

    def zone(self, name: str) -> str | None:
        hint = "Use an IANA name such as Europe/Berlin, or UTC."
        value = self._text(name, hint)
        if value is None or is_time_zone(value):
            return value
        suggestions = near(value, zoneinfo.available_timezones())
        self._refuse(name, f"is no time zone: '{value}'", did_you_mean(suggestions, hint), suggestions)
        return None

    def decimal(self, name: str) -> DataType | None:
        hint = "Write `decimal(18, 2)`."
        value = self._text(name, hint)
        if value is None:
            return None
        data_type = parse_data_type(value)
        if data_type is None or data_type.name != "decimal":
            self._refuse(name, f"must be a decimal type, not '{value}'", hint)
            return None
        return data_type

    def locale(self, name: str) -> str | None:
        hint = "Use a tag such as de or en-US."
        value = self._text(name, hint)
        if value is None or _LOCALE.fullmatch(value):
            return value
        self._refuse(name, f"is no locale tag: '{value}'", hint)
        return None
