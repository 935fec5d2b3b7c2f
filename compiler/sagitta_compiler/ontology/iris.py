"""The addresses of a model's parts, readable where the name allows it and never shared by two parts."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from rdflib import URIRef

from sagitta_compiler.model.resolved import ColumnRef, Join, ResolvedModel

MODEL_BASE = "https://ralforion.com/ns/model/"
_WORDS = re.compile(r"[A-Za-z0-9]+(?:[ _-][A-Za-z0-9]+)*")
_OTHER = re.compile(r"[^a-z0-9]+")


def slug(name: str) -> str:
    """Returns lower-case words joined by hyphens; a name that is more than words also gets a hash of itself.

    So `Net Sales` and `net_sales` give `net-sales`; `Umsätze` and `Net (Sales)` give a text that no other name gives.
    """
    plain = _OTHER.sub("-", name.lower()).strip("-")
    return plain if _WORDS.fullmatch(name) else f"{plain}-{_hash(name)}".lstrip("-")


def slugs(names: Iterable[str]) -> Mapping[str, str]:
    """Returns the slug of each name; names that would share one all get their hash."""
    found = {name: slug(name) for name in names}
    shared = {text for text, count in Counter(found.values()).items() if count > 1}
    return {name: f"{text}-{_hash(name)}" if text in shared else text for name, text in found.items()}


def _hash(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:8]


@dataclass(frozen=True, slots=True)
class Iris:
    """The addresses of one model's parts."""

    model: URIRef
    _objects: Mapping[str, str]
    _columns: Mapping[str, Mapping[str, str]]
    _artefacts: Mapping[str, Mapping[str, str]]

    def data_object(self, name: str) -> URIRef:
        return self._at("data-object", self._objects[name])

    def column(self, ref: ColumnRef) -> URIRef:
        return self._at("data-object", self._objects[ref.object], "column", self._columns[ref.object][ref.column])

    def nested_source(self, name: str) -> URIRef:
        return self._at("data-object", self._objects[name], "nested-source")

    def union_member(self, name: str, member: str) -> URIRef:
        return self._at("data-object", self._objects[name], "member", self._objects[member])

    def join(self, join: Join) -> URIRef:
        pair = f"{self._objects[join.source]}-to-{self._objects[join.target]}"
        return self._at("join", pair, slug(join.path_name)) if join.path_name else self._at("join", pair)

    def dimension(self, name: str) -> URIRef:
        return self._at("dimension", self._artefacts["dimension"][name])

    def measure(self, name: str) -> URIRef:
        return self._at("measure", self._artefacts["measure"][name])

    def metric(self, name: str) -> URIRef:
        return self._at("metric", self._artefacts["metric"][name])

    def example(self, name: str) -> URIRef:
        return self._at("example", self._artefacts["example"][name])

    def _at(self, *parts: str) -> URIRef:
        return URIRef("/".join((self.model, *parts)))


def iris(model: ResolvedModel, model_id: str) -> Iris:
    """Returns the addresses below `https://ralforion.com/ns/model/{model_id}`."""
    return Iris(
        URIRef(MODEL_BASE + quote(model_id, safe="-._~")),
        slugs(model.objects),
        {name: slugs(data_object.columns) for name, data_object in model.objects.items()},
        {
            "dimension": slugs(model.dimensions),
            "measure": slugs(model.measures),
            "metric": slugs(model.metrics),
            "example": slugs(example.name for example in model.examples),
        },
    )
