"""Review messages as the JSON of their contract.

One rule per kind of field: enumerations are their lower-case names, times have milliseconds and `Z`, values of open
type are embedded as they were written, lists are never absent. A scalar that is absent is null; an absent enumeration
or message is left out, because the contract's schemas of those do not admit null.
"""

from __future__ import annotations

from datetime import UTC
from functools import lru_cache
from typing import Any

import orjson
from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message
from starlette.responses import Response

_JSON_VALUE = "sagitta.review.v1.JsonValue"
_TIMESTAMP = "google.protobuf.Timestamp"
_CONSTANT = {"compiled_by": "superset"}
"""The contract's enumeration has this one value; `compiler` tells the truth."""


def to_json(message: Message) -> dict[str, Any]:
    """A message as an object that orjson writes."""
    return {
        field.name: value for field in message.DESCRIPTOR.fields if (value := _field(message, field)) is not _ABSENT
    }


def json_answer(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """An answer with a JSON body."""
    return Response(orjson.dumps(body), status, headers, media_type="application/json")


def enum_number(descriptor: EnumDescriptor, text: str) -> int | None:
    """The number of an enumeration's value by its JSON name; None when there is none."""
    return _numbers(descriptor).get(text)


def enum_names(descriptor: EnumDescriptor) -> tuple[str, ...]:
    """The JSON names of an enumeration's values."""
    return tuple(_numbers(descriptor))


_ABSENT = object()


def _field(message: Message, field: Any) -> Any:
    if field.name in _CONSTANT:
        return _CONSTANT[field.name]
    value = getattr(message, field.name)
    if field.is_repeated:
        return [_single(field, item) for item in value]
    if field.has_presence and not message.HasField(field.name):
        return _missing(field)
    return _single(field, value)


def _missing(field: FieldDescriptor) -> Any:
    if field.containing_oneof is not None and len(field.containing_oneof.fields) > 1:
        return _ABSENT
    if field.message_type is None or field.message_type.full_name == _TIMESTAMP:
        return None
    return _ABSENT


def _single(field: FieldDescriptor, value: Any) -> Any:
    if field.enum_type is not None:
        return _name(field.enum_type, value) if value else _ABSENT
    if field.message_type is None:
        return value
    if field.message_type.full_name == _JSON_VALUE:
        return orjson.Fragment(value.json)
    if field.message_type.full_name == _TIMESTAMP:
        return moment(value)
    return to_json(value)


def moment(value: Any) -> str:
    """A time with milliseconds, in UTC."""
    at = value.ToDatetime(tzinfo=UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z"


def _name(descriptor: EnumDescriptor, number: int) -> str:
    return _names(descriptor)[number]


@lru_cache(maxsize=64)
def _names(descriptor: EnumDescriptor) -> dict[int, str]:
    prefix = descriptor.values_by_number[0].name.removesuffix("UNSPECIFIED")
    return {value.number: value.name.removeprefix(prefix).lower() for value in descriptor.values if value.number}


@lru_cache(maxsize=64)
def _numbers(descriptor: EnumDescriptor) -> dict[str, int]:
    return {name: number for number, name in _names(descriptor).items()}
