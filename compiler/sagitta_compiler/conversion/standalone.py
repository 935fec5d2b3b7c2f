"""A model that extends fragments or inherits from another, as one text that stands on its own."""

from __future__ import annotations

from typing import Any

from sagitta_compiler.conversion.to_osi import dump
from sagitta_compiler.model.load import LoadedModel

_MERGED = ("extends", "inherits")


def standalone(loaded: LoadedModel) -> str:
    """Returns a model's own text, or what it was merged to as YAML, with no mention of where the parts came from."""
    if loaded.stands_alone:
        return loaded.source.text
    document: dict[str, Any] = loaded.document.model_dump(mode="json", by_alias=True, exclude_unset=True)
    return dump({key: value for key, value in document.items() if key not in _MERGED})
