"""Frozen values to rows and back.

A field of a value is a column of its table: texts, numbers, booleans and times as they are, enumerations as their text,
and nested values or tuples as JSON text.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from sagitta_server.reviews.json_text import dump, load

T = TypeVar("T")
_Decode = Callable[[Any], Any]


def to_plain(value: object) -> Any:
    """A value as JSON types; a dataclass becomes an object of its fields."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, StrEnum):
        return value.value
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, tuple | list):
        return [to_plain(item) for item in value]
    return value


def from_plain(cls: type[T], plain: Mapping[str, Any]) -> T:
    """The inverse of `to_plain`; fields that the text does not have keep their default."""
    key: Any = cls
    return cls(**{name: decode(plain[name]) for name, decode in _plain_decoders(key) if name in plain})


def to_row(value: object) -> dict[str, Any]:
    """A value as the columns of its table."""
    key: Any = type(value)
    return {name: encode(getattr(value, name)) for name, encode in _row_encoders(key)}


def from_row(cls: type[T], row: Mapping[Any, Any]) -> T:
    """The inverse of `to_row`; other columns are ignored."""
    key: Any = cls
    return cls(**{name: decode(row[name]) for name, decode in _row_decoders(key)})


def from_columns(cls: type[T], values: Iterable[Any]) -> T:
    """As `from_row`, from the values of exactly the fields' columns in the fields' order."""
    key: Any = cls
    return cls(*[decode(value) for decode, value in zip(_column_decoders(key), values, strict=True)])


def is_nested(hint: Any) -> bool:
    """The field is stored as JSON text."""
    inner = _without_none(hint)
    return get_origin(inner) is tuple or is_dataclass(inner)


@lru_cache(maxsize=64)
def field_hints(cls: Any) -> tuple[tuple[str, Any], ...]:
    """Name and type of every field."""
    hints = get_type_hints(cls)
    return tuple((f.name, hints[f.name]) for f in fields(cls))


@lru_cache(maxsize=64)
def _row_encoders(cls: Any) -> tuple[tuple[str, Callable[[Any], Any]], ...]:
    return tuple((name, _dump_nested if is_nested(hint) else _scalar_out) for name, hint in field_hints(cls))


@lru_cache(maxsize=64)
def _row_decoders(cls: Any) -> tuple[tuple[str, _Decode], ...]:
    return tuple(
        (name, _load_nested(_plain_decoder(hint)) if is_nested(hint) else _scalar_in(hint))
        for name, hint in field_hints(cls)
    )


@lru_cache(maxsize=64)
def _column_decoders(cls: Any) -> tuple[_Decode, ...]:
    return tuple(decode for _, decode in _row_decoders(cls))


@lru_cache(maxsize=64)
def _plain_decoders(cls: Any) -> tuple[tuple[str, _Decode], ...]:
    return tuple((name, _plain_decoder(hint)) for name, hint in field_hints(cls))


def _dump_nested(value: Any) -> str | None:
    return None if value is None else dump(to_plain(value))


def _load_nested(decode: _Decode) -> _Decode:
    def load_text(text: str | None) -> Any:
        if text is None:
            return None
        return () if text == "[]" else decode(load(text))

    return load_text


def _scalar_out(value: Any) -> Any:
    return value.value if isinstance(value, StrEnum) else value


def _scalar_in(hint: Any) -> _Decode:
    inner = _without_none(hint)
    if isinstance(inner, type) and issubclass(inner, StrEnum):
        members = {member.value: member for member in inner}
        return lambda value: None if value is None else members[value]
    return _same


def _plain_decoder(hint: Any) -> _Decode:
    inner = _without_none(hint)
    if get_origin(inner) is tuple:
        return _tuple_decoder(get_args(inner))
    if is_dataclass(inner) and isinstance(inner, type):
        cls = inner
        return lambda plain: None if plain is None else from_plain(cls, plain)
    if inner is datetime:
        return lambda text: None if text is None else datetime.fromisoformat(text)
    if inner is float:
        return lambda number: None if number is None else float(number)
    return _scalar_in(inner)


def _tuple_decoder(arguments: tuple[Any, ...]) -> _Decode:
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        item = _plain_decoder(arguments[0])
        return lambda items: tuple(item(i) for i in items or ())
    parts = [_plain_decoder(argument) for argument in arguments]
    return lambda items: tuple(decode(i) for decode, i in zip(parts, items, strict=True))


def _without_none(hint: Any) -> Any:
    if get_origin(hint) in {Union, types.UnionType}:
        kept = [argument for argument in get_args(hint) if argument is not type(None)]
        return kept[0] if len(kept) == 1 else hint
    return hint


def _same(value: Any) -> Any:
    return value
