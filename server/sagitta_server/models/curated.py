"""The models that the administrator serves from files: read at start, read again when a file changes.

Each file is one protected session with the model's name; it never expires and cannot be changed by clients. A changed
file is compiled aside and takes the place of the old model at once; a broken one is reported and the old model stays.
"""

from __future__ import annotations

import datetime as dt
import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from sagitta_compiler import LoadedModel
from sagitta_compiler.model.merge import collect_files
from sagitta_compiler.names import normalise_model_name

from sagitta_server.config import ModelSettings
from sagitta_server.models.compiled import CompiledModels, ModelSource
from sagitta_server.models.sessions import Session

log = logging.getLogger(__name__)


class CuratedModelError(Exception):
    """A model file cannot be served; the message says which and why."""


@dataclass(frozen=True, slots=True)
class CuratedModel:
    """A served model."""

    name: str
    model_id: str
    content_key: str
    source: ModelSource
    loaded: LoadedModel
    served_since: dt.datetime

    def session(self) -> Session:
        """Its protected session."""
        return Session(
            session_id=self.name,
            created_at=self.served_since,
            last_accessed_at=dt.datetime.now(dt.UTC),
            metadata=MappingProxyType({}),
            model_count=1,
            expires_at=None,
            max_expires_at=None,
        )


@dataclass(frozen=True, slots=True)
class _Read:
    """What a file and the files it names held, and their state on disk."""

    source: ModelSource
    stamps: Mapping[Path, tuple[int, int]]


class CuratedModels:
    """The served models by name; `models` is replaced as a whole, never changed."""

    def __init__(self, settings: ModelSettings, compiled: CompiledModels) -> None:
        self._paths = settings.paths
        self._interval = settings.watch_interval_seconds
        self._compiled = compiled
        self._stamps: dict[Path, Mapping[Path, tuple[int, int]]] = {}
        self._names: dict[Path, str] = {}
        self._stopping = threading.Event()
        self._watcher: threading.Thread | None = None
        self.models: Mapping[str, CuratedModel] = MappingProxyType({})

    @property
    def enabled(self) -> bool:
        """Whether the administrator serves the models."""
        return bool(self._paths)

    def start(self) -> None:
        """Reads every file and begins to watch them.

        Raises:
            CuratedModelError: a file is missing or invalid, or a name is unusable or taken.
        """
        models: dict[str, CuratedModel] = {}
        for path in self._paths:
            curated = self._read_model(path)
            if curated.name in models:
                raise CuratedModelError(f"{path}: another model file has the name '{curated.name}' already")
            models[curated.name] = curated
            self._names[path] = curated.name
        self.models = MappingProxyType(models)
        if self._paths and self._interval:
            self._watcher = threading.Thread(target=self._watch, name="model-files", daemon=True)
            self._watcher.start()

    def stop(self) -> None:
        """Stops watching."""
        self._stopping.set()
        if self._watcher is not None:
            self._watcher.join()

    def reload_changed(self) -> tuple[str, ...]:
        """Reads the files that changed since they were last read; returns the names of the models replaced."""
        replaced = []
        for path in self._paths:
            if _stamps(self._stamps[path]) == self._stamps[path]:
                continue
            try:
                curated = self._read_model(path)
                if curated.name != self._names[path]:
                    old = self._names[path]
                    raise CuratedModelError(f"{path}: a served model keeps its name '{old}' until restart")
            except CuratedModelError as error:
                log.warning("model file not reloaded, the old model stays: %s", error)
                continue
            self.models = MappingProxyType({**self.models, curated.name: curated})
            replaced.append(curated.name)
            log.info("model file reloaded: %s", curated.name)
        return tuple(replaced)

    def _watch(self) -> None:
        while not self._stopping.wait(self._interval):
            try:
                self.reload_changed()
            except Exception:
                log.exception("model files could not be looked at; the models stay as they are")

    def _read_model(self, path: Path) -> CuratedModel:
        self._stamps[path] = _stamps({path: (0, 0)})
        read = read_file(path)
        self._stamps[path] = read.stamps
        loaded = self._compiled.load(read.source)
        if loaded.model is None:
            first, *others = (diagnostic for diagnostic in loaded.diagnostics if diagnostic.is_error)
            more = f" (and {len(others)} more; `sagitta validate {path}` shows them)" if others else ""
            raise CuratedModelError(f"{path}: [{first.code}] {first.path}: {first.message}{more}")
        name = normalise_model_name(loaded.model.name or path.stem)
        if name is None:
            raise CuratedModelError(
                f"{path}: '{loaded.model.name or path.stem}' is no usable model name; state another as `name:`"
            )
        return CuratedModel(
            name=name,
            model_id=read.source.plain_id if read.source.plain else read.source.content_key[:16],
            content_key=read.source.content_key,
            source=read.source,
            loaded=loaded,
            served_since=dt.datetime.now(dt.UTC),
        )


def read_file(path: Path) -> _Read:
    """Reads a model file with the files that it names, relative to itself.

    Raises:
        CuratedModelError: the file is missing or unreadable.
    """
    stamps: dict[Path, tuple[int, int]] = {}
    text = _text(path, stamps)

    def named(relative: str) -> str | None:
        file = path.parent / relative
        stamps[file] = (0, 0)
        return _text(file, stamps) if file.is_file() else None

    files = collect_files(text, named)
    return _Read(ModelSource(text, json=path.suffix == ".json", files=files, name=path.stem), stamps)


def _text(path: Path, stamps: dict[Path, tuple[int, int]]) -> str:
    try:
        stat = path.stat()
        stamps[path] = (stat.st_mtime_ns, stat.st_size)
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise CuratedModelError(f"{path}: there is no such file") from None
    except UnicodeDecodeError:
        raise CuratedModelError(f"{path}: is not UTF-8 text") from None
    except OSError as error:
        raise CuratedModelError(f"{path}: cannot be read ({error.strerror})") from None


def _stamps(files: Mapping[Path, tuple[int, int]]) -> dict[Path, tuple[int, int]]:
    """The present state of files on disk; a missing one is (0, 0)."""
    found = {}
    for path in files:
        try:
            stat = path.stat()
            found[path] = (stat.st_mtime_ns, stat.st_size)
        except OSError:
            found[path] = (0, 0)
    return found
