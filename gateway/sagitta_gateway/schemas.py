"""JSON Schemas of the bodies that `convert.py` makes, from the same descriptors and the comments of the contract."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from sagitta_gateway.convert import enum_words, key_of

Schema = dict[str, Any]
COMPONENTS = "#/components/schemas/"

_WELL_KNOWN: dict[str, Schema] = {
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    "google.protobuf.Value": {},
    "google.protobuf.Struct": {"type": "object", "additionalProperties": True},
    "google.protobuf.ListValue": {"type": "array", "items": {}},
}
_INTEGERS = {
    FieldDescriptor.CPPTYPE_INT32,
    FieldDescriptor.CPPTYPE_INT64,
    FieldDescriptor.CPPTYPE_UINT32,
    FieldDescriptor.CPPTYPE_UINT64,
}
_NUMBERS = {FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT}


@cache
def _comments() -> dict[str, str]:
    found: dict[str, str] = json.loads(files("sagitta").joinpath("comments.json").read_text(encoding="utf-8"))
    return found


def described(name: str) -> Schema:
    """The comment of the contract on a message or field as a schema's description; nothing where there is none."""
    comment = _comments().get(name)
    return {"description": comment} if comment else {}


ALWAYS_SET = frozenset(
    {
        "sagitta.semantic.v1.Session.created_at",
        "sagitta.semantic.v1.Session.last_accessed_at",
        "sagitta.semantic.v1.LoadModelResponse.health",
        "sagitta.semantic.v1.LoadOsiModelResponse.health",
        "sagitta.semantic.v1.LoadOsiModelResponse.input_validation",
        "sagitta.semantic.v1.CompileQueryResponse.resolved",
        "sagitta.semantic.v1.CompileQueryResponse.explain",
        "sagitta.semantic.v1.ResultMetadata.resolved",
        "sagitta.semantic.v1.ResultMetadata.explain",
        "sagitta.semantic.v1.Conversion.validation",
        "sagitta.semantic.v1.RecordHeartbeatResponse.recorded_at",
    }
)
"""Messages within messages that an answer never lacks, though the contract's language cannot say so."""


class Components:
    """Collects the schemas of messages and of every message that they hold."""

    def __init__(self) -> None:
        self.schemas: dict[str, Schema] = {}

    def reference(self, message: type[Message]) -> Schema:
        """A reference to the schema of a message, which is added with all it needs."""
        descriptor: Any = message.DESCRIPTOR
        return self._reference(descriptor)

    def _reference(self, descriptor: Descriptor) -> Schema:
        if (known := _WELL_KNOWN.get(descriptor.full_name)) is not None:
            return dict(known)
        name = descriptor.name
        if name not in self.schemas:
            self.schemas[name] = {}  # taken first: messages may hold themselves
            self.schemas[name] = self._object(descriptor)
        return {"$ref": f"{COMPONENTS}{name}"}

    def _object(self, descriptor: Descriptor) -> Schema:
        properties = self.fields(descriptor.fields)
        return {
            "type": "object",
            "title": descriptor.name,
            **described(descriptor.full_name),
            "properties": properties,
            "required": list(properties),
        }

    def fields(self, fields: Iterable[FieldDescriptor], *, nullable_fields: bool = True) -> dict[str, Schema]:
        """The schemas of fields by their keys; a field that may be unset is null, unless it is left out then."""
        return {
            key_of(field): {**self._field(field, nullable_fields=nullable_fields), **described(field.full_name)}
            for field in fields
        }

    def _field(self, field: FieldDescriptor, *, nullable_fields: bool) -> Schema:
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            return {
                "type": "object",
                "additionalProperties": self._value(field.message_type.fields_by_name["value"]),
            }
        value = self._value(field)
        if field.is_repeated:
            return {"type": "array", "items": value}
        optional = field.has_presence and field.full_name not in ALWAYS_SET
        return nullable(value) if optional and nullable_fields else value

    def _value(self, field: FieldDescriptor) -> Schema:
        if field.message_type is not None:
            return self._reference(field.message_type)
        if field.enum_type is not None:
            words = [word for word in enum_words(field.enum_type).values() if word is not None]
            return {"type": "string", "enum": words}
        if field.cpp_type in _INTEGERS:
            return {"type": "integer"}
        if field.cpp_type in _NUMBERS:
            return {"type": "number"}
        return {"type": "boolean"} if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL else {"type": "string"}


def nullable(schema: Schema) -> Schema:
    """The schema, or null."""
    if not schema:
        return schema
    return {"anyOf": [schema, {"type": "null"}]}
