"""Bodies of review requests: their shape, and reading them without losing a digit."""

from __future__ import annotations

from typing import Any, TypeVar

import simplejson
from fastapi import Request
from google.protobuf.descriptor import EnumDescriptor
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sagitta.review.v1 import enums_pb2

from sagitta_gateway.review_errors import Refusal, Violation
from sagitta_gateway.review_json import enum_names, enum_number

_B = TypeVar("_B", bound="Body")
_ENUMS = enums_pb2.DESCRIPTOR.enum_types_by_name
_REQUIRED = "is required"


class Body(BaseModel):
    """A body that ignores unknown properties, as the contract does where it says nothing."""

    model_config = ConfigDict(extra="ignore", strict=True)


class StartSession(Body):
    """What to review, and where."""

    source_kind: str = Field(examples=["dataset_selection"])
    source_input: str = Field(examples=["model:tpch"])
    environment_id: str = Field(examples=["local"])


class UpdateSession(Body):
    """A new status."""

    status: str
    note: str | None = None


class ApplySource(Body):
    """Which semantic source."""

    source_type: str
    source_ref: str


class UpdateField(Body):
    """A decision about a field."""

    model_config = ConfigDict(extra="forbid", strict=True)

    candidate_id: str | None = None
    verbose_name: str | None = None
    description: str | None = None
    display_format: str | None = None
    lock_field: bool = False
    resolution_note: str | None = None


class Publish(Body):
    """What to write back."""

    model_config = ConfigDict(extra="forbid", strict=True)

    field_ids: list[str] = Field(default_factory=list, max_length=2000)
    include_description: bool = False
    dry_run: bool = False


class SubmitAnswer(Body):
    """An answer."""

    question_id: str
    answer_kind: str
    answer_value: str | None = None


class UpdateMapping(Body):
    """A change of a mapping; `effective_value` may be any JSON."""

    model_config = ConfigDict(extra="forbid", strict=True)

    effective_value: Any = None
    mapping_method: str | None = None
    transformation_note: str | None = None


class ApproveMapping(Body):
    """Why."""

    approval_note: str | None = None


async def read_body(request: Request, kind: type[_B], *, invalid: int, optional: bool = False) -> _B:
    """The body of a request.

    Args:
        request: the request.
        kind: its shape.
        invalid: the status of a body that breaks its shape; the contract lists 422 or 400.
        optional: an absent body stands for an empty object.

    Raises:
        Refusal: it is not JSON, or breaks its shape.
    """
    raw = await request.body()
    if not raw.strip() and optional:
        return kind()
    try:
        value = simplejson.loads(raw, use_decimal=True, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise invalid_body(invalid, Violation("body", "is not JSON")) from error
    if not isinstance(value, dict):
        raise invalid_body(invalid, Violation("body", "must be an object"))
    if not _is_text(value):
        raise invalid_body(invalid, Violation("body", "holds text that is not Unicode"))
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        raise invalid_body(invalid, *(_violation(item) for item in error.errors())) from error


def invalid_body(status: int, *violations: Violation) -> Refusal:
    """A body that breaks its shape, in the contract's words."""
    message = "; ".join(f"{v.field} {v.message}" for v in violations)
    return Refusal(status, "validation_error", message, violations=violations)


def json_text(value: Any) -> str:
    """A value as JSON text, every number as it was written."""
    return simplejson.dumps(value, use_decimal=True, ensure_ascii=False, separators=(",", ":"))


def enum_of(name: str, text: str, field: str, *, invalid: int) -> Any:
    """The number of an enumeration's value.

    Raises:
        Refusal: there is no such value.
    """
    descriptor: EnumDescriptor = _ENUMS[name]
    number = enum_number(descriptor, text)
    if number is None:
        raise invalid_body(invalid, Violation(field, f"must be one of {', '.join(enum_names(descriptor))}"))
    return number


def _is_text(value: Any) -> bool:
    """No text of the value holds half a character (a lone surrogate)."""
    try:
        json_text(value).encode()
    except UnicodeEncodeError:
        return False
    return True


def _violation(item: Any) -> Violation:
    place = ".".join(("body", *map(str, item["loc"])))
    return Violation(place, _REQUIRED if item["type"] == "missing" else str(item["msg"]))


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
