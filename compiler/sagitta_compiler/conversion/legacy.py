"""OSI 0.1 as if it were 0.2."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sagitta_compiler.conversion.extension import read_extension

Element = dict[str, Any]


def is_legacy(root: Mapping[str, Any]) -> bool:
    """Whether the text is of version 0.0 or 0.1, or names none."""
    version = str(root.get("version") or "").strip()
    return not version or version.startswith(("0.0", "0.1"))


def modernised(model: Element) -> Element:
    """Returns a semantic model with keys where 0.2 has them."""
    datasets = model.get("datasets")
    if not isinstance(datasets, list):
        return model
    return {**model, "datasets": [_dataset(each) if isinstance(each, dict) else each for each in datasets]}


def _dataset(dataset: Element) -> Element:
    kept = read_extension(dataset)
    result = dict(dataset)
    for key in ("primary_key", "unique_keys"):
        if key not in result and isinstance(kept.get(f"obml_{key}"), list):
            result[key] = kept[f"obml_{key}"]
    fields = dataset.get("fields")
    if isinstance(fields, list):
        result["fields"] = [_field(each) for each in fields]
    return result


def _field(field: Any) -> Any:
    if isinstance(field, str):
        return {"name": field, "expression": field}
    if not isinstance(field, dict):
        return field
    result = {key: value for key, value in field.items() if key != "data_type"}
    if "data_type" in field:
        result.setdefault("datatype", field["data_type"])
    return result
