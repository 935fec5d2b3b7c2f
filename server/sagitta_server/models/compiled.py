"""Compiled models, shared by content: the same text in many sessions is read once."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from sagitta_compiler import LoadedModel, load_model

from sagitta_server.models.collector import collector_paused


@dataclass(frozen=True, slots=True)
class ModelSource:
    """Everything that makes a model: its text, the fragments merged into it, the model it inherits from."""

    text: str
    json: bool = False
    extends: tuple[str, ...] = ()
    inherits: ModelSource | None = None
    files: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """The texts of the files that it names, by their relative paths."""
    name: str | None = None
    """The name where the text states none."""

    @property
    def plain(self) -> bool:
        """Whether the text is YAML and stands alone: only then is it recognised again."""
        return not (self.json or self.extends or self.inherits or self.files)

    @property
    def content_key(self) -> str:
        """SHA-256 of the whole, hexadecimal."""
        canonical = json.dumps(self.to_record(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()

    @property
    def plain_id(self) -> str:
        """The model id of a plain text: equal texts have equal ids, in every session and after a restart."""
        return hashlib.sha256(self.text.strip().encode()).hexdigest()[:16]

    def to_record(self) -> dict[str, Any]:
        """The source as JSON-like values."""
        return {
            "text": self.text,
            "json": self.json,
            "extends": list(self.extends),
            "inherits": self.inherits.to_record() if self.inherits else None,
            "files": dict(self.files),
            "name": self.name,
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> ModelSource:
        """The reverse of `to_record`."""
        parent = record["inherits"]
        return cls(
            text=record["text"],
            json=record["json"],
            extends=tuple(record["extends"]),
            inherits=cls.from_record(parent) if parent else None,
            files=record["files"],
            name=record["name"],
        )


@dataclass(frozen=True, slots=True)
class CompiledModel:
    """A compiled model beside its source."""

    source: ModelSource
    loaded: LoadedModel


class CompiledModels:
    """Keeps the most recently used compiled models; each is compiled by one thread while others wait."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._models: OrderedDict[str, CompiledModel] = OrderedDict()
        self._lock = threading.Lock()
        self._running: dict[str, threading.Lock] = {}

    def peek(self, content_key: str) -> CompiledModel | None:
        """The model if it is in memory."""
        with self._lock:
            compiled = self._models.get(content_key)
            if compiled is not None:
                self._models.move_to_end(content_key)
        return compiled

    def load(self, source: ModelSource, content_key: str | None = None) -> LoadedModel:
        """Returns the compiled model; its diagnostics say whether it can be used."""
        key = content_key or source.content_key
        if (compiled := self.peek(key)) is not None:
            return compiled.loaded
        with self._lock:
            running = self._running.setdefault(key, threading.Lock())
        with running:
            if (compiled := self.peek(key)) is not None:
                return compiled.loaded
            loaded = self._compile(source)
            with self._lock:
                self._running.pop(key, None)
                if loaded.model is not None:
                    self._models[key] = CompiledModel(source, loaded)
                    while len(self._models) > self._size:
                        self._models.popitem(last=False)
        return loaded

    def _compile(self, source: ModelSource) -> LoadedModel:
        parent = self.load(source.inherits) if source.inherits else None
        with collector_paused():
            return load_model(
                source.text, name=source.name, extends=source.extends, inherits=parent, files=source.files
            )
