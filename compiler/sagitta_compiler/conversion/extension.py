"""The extension that carries through OSI what OSI has no words for.

Its `data` is a JSON object whose keys begin with `obml_`. It holds only what no other part of the element says, so that
an edit of the OSI text takes effect when the model comes back.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

VENDOR = "ORIONBELT"
OWN_VENDORS = frozenset({VENDOR, "COMMON"})
OSI_VENDOR = "OSI"
"""The vendor under which OBML keeps what only OSI can say."""
_RESERVED = OWN_VENDORS | {OSI_VENDOR}
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def snake(key: str) -> str:
    """Returns `withinGroup` as `within_group`."""
    return _HUMP.sub("_", key).lower()


def camel(key: str) -> str:
    """Returns `within_group` as `withinGroup`."""
    first, *rest = key.split("_")
    return first + "".join(word[:1].upper() + word[1:] for word in rest)


def spelled(element: Mapping[str, Any]) -> dict[str, Any]:
    """Returns an element of an OBML text with the language's own spelling of its keys, and without unset ones."""
    return {camel(key): value for key, value in element.items() if value is not None}


def write_extension(payload: Mapping[str, Any]) -> dict[str, str]:
    """Returns the extension as an OSI `custom_extensions` item."""
    return {"vendor_name": VENDOR, "data": json.dumps(payload, ensure_ascii=False, default=str)}


def read_extension(element: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what our extensions of an OSI element say; malformed ones say nothing."""
    merged: dict[str, Any] = {}
    for item in _items(element):
        if item.get("vendor_name") in OWN_VENDORS:
            merged |= _object(item.get("data"))
    return merged


def foreign_extensions(element: Mapping[str, Any]) -> list[dict[str, str]]:
    """Returns the extensions of other vendors as OBML has them."""
    return [
        {"vendor": str(item["vendor_name"]), "data": _text(item.get("data"))}
        for item in _items(element)
        if "vendor_name" in item and item["vendor_name"] not in OWN_VENDORS
    ]


def can_travel(extensions: object) -> bool:
    """Whether OBML extensions can stand in OSI as they are: none claims a name that means something there."""
    return (
        isinstance(extensions, list)
        and bool(extensions)
        and all(
            isinstance(item, dict) and set(item) == {"vendor", "data"} and item["vendor"] not in _RESERVED
            for item in extensions
        )
    )


def travelling(extensions: Iterable[Mapping[str, str]]) -> list[dict[str, str]]:
    """Returns OBML extensions as OSI has them."""
    return [{"vendor_name": item["vendor"], "data": item["data"]} for item in extensions]


def osi_leftovers(extensions: object) -> dict[str, Any]:
    """Returns what an OBML element keeps for OSI: `ai_context`, `unique_keys`, ..."""
    merged: dict[str, Any] = {}
    for item in extensions if isinstance(extensions, list) else ():
        if isinstance(item, dict) and item.get("vendor") == OSI_VENDOR:
            merged |= _object(item.get("data"))
    return merged


def _items(element: Mapping[str, Any]) -> list[dict[str, Any]]:
    items = element.get("custom_extensions")
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def _object(data: object) -> dict[str, Any]:
    if isinstance(data, dict):
        return data
    try:
        value = json.loads(data) if isinstance(data, str) else None
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _text(data: object) -> str:
    return data if isinstance(data, str) else json.dumps(data, ensure_ascii=False, default=str)
