"""Numbers as people read them: by a display pattern, in a locale."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

import pyarrow as pa
from babel import Locale, UnknownLocaleError
from babel.numbers import NumberPattern, parse_pattern

DEFAULT_LOCALE = "en"


class UnknownLocale(ValueError):  # noqa: N818 (it is the name of what is wrong)
    """The locale of a request is no BCP 47 tag that is known here."""


def find_locale(name: str) -> Locale:
    """The locale of a BCP 47 tag.

    Raises:
        UnknownLocale: the tag is no locale.
    """
    try:
        return Locale.parse(name.replace("-", "_"))
    except (UnknownLocaleError, ValueError, TypeError):
        raise UnknownLocale(name) from None


def model_locale(name: str) -> Locale:
    """The locale that the model or the server states; English where that is none."""
    try:
        return find_locale(name or DEFAULT_LOCALE)
    except UnknownLocale:
        return Locale(DEFAULT_LOCALE)


def display(column: Any, pattern: str | None, locale: Locale) -> Any:
    """A numeric column as display texts; other columns as they are.

    Equal values are formatted once, so that a column of few values costs few calls.
    """
    if not _is_number(column.type):
        return column
    render = _renderer(pattern, locale)
    encoded = column.dictionary_encode()
    texts = pa.array(
        [None if value is None else render(value) for value in encoded.dictionary.to_pylist()], pa.string()
    )
    return texts.take(encoded.indices)


def display_batch(batch: Any, patterns: list[str | None], locale: Locale) -> Any:
    """A batch whose numeric columns are display texts."""
    columns = [display(column, pattern, locale) for column, pattern in zip(batch.columns, patterns, strict=True)]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def _is_number(kind: Any) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _renderer(pattern: str | None, locale: Locale) -> Callable[[Any], str]:
    parsed = _pattern(pattern)
    if parsed is None:
        return str

    def render(value: Any) -> str:
        try:
            number = Decimal(str(value))
        except InvalidOperation:
            return str(value)
        return parsed.apply(number, locale) if number.is_finite() else str(value)

    return render


def _pattern(pattern: str | None) -> NumberPattern | None:
    if not pattern:
        return None
    try:
        return parse_pattern(pattern)
    except ValueError:
        return None
