"""Messages -> bodies: one rule for every message, with the few names that the documented bodies spell otherwise.

A field becomes a key of the same name; an unset optional field is null; an enum value is its name without the prefix,
in lower case; a timestamp is ISO 8601 in UTC with `Z`; free-form values are what they are in JSON; maps are in the
order of their keys, for the wire keeps none. How a message is turned is worked out once from its descriptor;
`schemas.py` describes the same bodies from the same descriptors.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message

Body = dict[str, Any]
Convert = Callable[[Any], Any]

RENAMED: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "sagitta.semantic.v1.Measure": {"default_value": "defaultValue", "data_type": "dataType"},
        "sagitta.semantic.v1.Metric": {"time_dimension": "timeDimension", "data_type": "dataType"},
        "sagitta.semantic.v1.ModelSettings": {
            "default_numeric_data_type": "defaultNumericDataType",
            "default_timezone": "defaultTimezone",
            "override_database_timezone": "overrideDatabaseTimezone",
            "default_dialect": "defaultDialect",
            "default_locale": "defaultLocale",
            "query_timezone": "queryTimezone",
            "week_start": "weekStart",
            "expression_mode": "expressionMode",
            "fiscal_year_start": "fiscalYearStart",
        },
        "sagitta.semantic.v1.ListComposablesResponse": {
            "anchor_objects": "anchorObjects",
            "cfl_measures": "cflMeasures",
            "cfl_metrics": "cflMetrics",
        },
    }
)
"""Keys of documented bodies that are not the field's name."""

ENUM_TEXT: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "sagitta.semantic.v1.Cardinality": {
            "CARDINALITY_MANY_TO_ONE": "many-to-one",
            "CARDINALITY_ONE_TO_ONE": "one-to-one",
            "CARDINALITY_MANY_TO_MANY": "many-to-many",
        },
    }
)
"""Enums whose documented words are not their names in lower case."""


def to_body(message: Message) -> Body:
    """The body of a message."""
    body: Body = _converter(message.DESCRIPTOR)(message)
    return body


def without_nulls(body: Body) -> Body:
    """The body with null keys omitted, at every depth."""
    return {
        key: without_nulls(value) if isinstance(value, dict) else value
        for key, value in body.items()
        if value is not None
    }


def key_of(field: FieldDescriptor) -> str:
    """The key under which a field appears."""
    assert field.containing_type is not None
    return RENAMED.get(field.containing_type.full_name, {}).get(field.name, field.name)


def enum_words(enum: EnumDescriptor) -> dict[int, str | None]:
    """The documented word of every value of an enum; None for UNSPECIFIED."""
    words = ENUM_TEXT.get(enum.full_name, {})
    prefix = _prefix(enum)
    return {
        value.number: words.get(value.name, value.name.removeprefix(prefix).lower()) if value.number else None
        for value in enum.values
    }


def _prefix(enum: EnumDescriptor) -> str:
    first: str = enum.values_by_number[0].name
    return first.removesuffix("UNSPECIFIED")


@cache
def _converter(descriptor: Descriptor) -> Convert:
    special = _SPECIAL.get(descriptor.full_name)
    if special is not None:
        return special
    steps = tuple((field.name, key_of(field), *_field(field)) for field in descriptor.fields)

    def convert(message: Any) -> Body:
        body: Body = {}
        for name, key, presence, value in steps:
            if presence and not message.HasField(name):
                body[key] = None
            else:
                item = getattr(message, name)
                body[key] = item if value is None else value(item)
        return body

    return convert


def _field(field: FieldDescriptor) -> tuple[bool, Convert | None]:
    """Whether the field may be null, and how its value is turned (None: not at all)."""
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        return False, _in_order
    one = _value(field)
    if field.is_repeated:
        return False, list if one is None else lambda items: [one(item) for item in items]
    return field.has_presence, one


def _value(field: FieldDescriptor) -> Convert | None:
    if field.message_type is not None:
        descriptor = field.message_type
        return lambda item: _converter(descriptor)(item)  # noqa: PLW0108 (found late: messages may hold themselves)
    if field.enum_type is not None:
        words = enum_words(field.enum_type)
        return lambda number: words[number]
    return None


def _timestamp(message: Any) -> str:
    moment: dt.datetime = message.ToDatetime(dt.UTC)
    return moment.isoformat().replace("+00:00", "Z")


def json_value(message: Any) -> Any:
    """A free-form value; whole numbers lose the point that the wire gives them."""
    match message.WhichOneof("kind"):
        case "number_value":
            number: float = message.number_value
            return int(number) if number.is_integer() and abs(number) < 2**53 else number
        case "string_value":
            return message.string_value
        case "bool_value":
            return message.bool_value
        case "struct_value":
            return _struct(message.struct_value)
        case "list_value":
            return _list(message.list_value)
        case _:
            return None


def _struct(message: Any) -> Body:
    return {key: json_value(value) for key, value in sorted(message.fields.items())}


def _in_order(message: Any) -> Body:
    return dict(sorted(message.items()))


def _list(message: Any) -> list[Any]:
    return [json_value(value) for value in message.values]


_SPECIAL: Mapping[str, Convert] = MappingProxyType(
    {
        "google.protobuf.Timestamp": _timestamp,
        "google.protobuf.Value": json_value,
        "google.protobuf.Struct": _struct,
        "google.protobuf.ListValue": _list,
    }
)
