"""Reads the regression corpus: files of questions with their hand-checked or agreed answers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from oracle.queries import Case

FOLDER = Path(__file__).parent / "cases"


@dataclass(frozen=True)
class Entry:
    """A case of the corpus: `rows` is the answer by hand, `refused` the codes that may refuse it."""

    name: str
    case: Case
    rows: tuple[tuple[Any, ...], ...] | None = None
    columns: tuple[str, ...] | None = None
    refused: tuple[str, ...] = ()


def read_corpus() -> Iterator[Entry]:
    for path in sorted(FOLDER.glob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text(encoding="utf-8")):
            yield from _entries(path.stem, _on_base(document))


def _on_base(document: dict[str, Any]) -> dict[str, Any]:
    """A document may build on the tables and the model of another file (`base: vectors`)."""
    if "base" not in document:
        return document
    base = yaml.safe_load((FOLDER / f"{document['base']}.yaml").read_text(encoding="utf-8"))
    return {**document, "tables": base["tables"], "model": _merged(base, document)}


def _entries(stem: str, document: dict[str, Any]) -> Iterator[Entry]:
    """A document holds one case, or several over the same model and tables."""
    for each in document.get("cases", [document]):
        whole = {**document, **each}
        rows = whole.get("rows")
        yield Entry(
            name=f"{stem}: {whole['name']}",
            case=Case(_merged(document, each), whole["tables"], whole["query"], whole.get("policies", {})),
            rows=None if rows is None else tuple(tuple(row) for row in rows),
            columns=tuple(whole["columns"]) if "columns" in whole else None,
            refused=tuple(whole.get("refused", ())),
        )


def _merged(document: dict[str, Any], each: dict[str, Any]) -> dict[str, Any]:
    """A case may add sections to the model of its document (`model: {measures: {...}}`)."""
    model = dict(document["model"])
    if each is not document:
        for section, names in each.get("model", {}).items():
            model[section] = {**model.get(section, {}), **names} if isinstance(names, dict) else names
    return model
