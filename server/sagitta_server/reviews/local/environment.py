"""The embedded environment: semantic models as datasets, our compiler for previews, our warehouses for runs."""

from __future__ import annotations

import base64
import datetime as dt
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any, Protocol

import yaml
from sagitta_compiler import CompileContext, CompileError, LoadedModel, Query, ResolvedModel, load_model
from sagitta_compiler.model.resolved import TableSource

from sagitta_server.errors import ServiceError
from sagitta_server.execution import CancelToken, Source, SourceError, batches_of
from sagitta_server.models import ModelHandle
from sagitta_server.models.compiled import ModelSource
from sagitta_server.queries.service import Compiler
from sagitta_server.reviews.enums import SemanticSourceType, TrustLevel
from sagitta_server.reviews.environment import (
    CompilationError,
    Compiled,
    CompileRequest,
    DatasetTexts,
    EnvironmentUnavailableError,
    Health,
    Identified,
    LiveState,
    OfferedSource,
    PublishOutcome,
    PublishRequest,
    Recovered,
    RunOutcome,
    RunRequest,
    RunStart,
    SourceRequest,
)
from sagitta_server.reviews.errors import ReviewError
from sagitta_server.reviews.json_text import Json, dump, load
from sagitta_server.reviews.local import queries
from sagitta_server.reviews.local.description import describe_model, model_entries
from sagitta_server.reviews.local.selection import Selection, SelectionKind, parse_selection
from sagitta_server.reviews.local.templates import Renderer
from sagitta_server.reviews.names import norm, schema_overlap
from sagitta_server.reviews.run_tickets import RunTicket, sign, sql_hash
from sagitta_server.reviews.settings import LocalSettings
from sagitta_server.reviews.spool import Finished, Spool, SpoolFullError
from sagitta_server.reviews.template_variables import has_template_marks
from sagitta_server.reviews.values import Condition, Dataset

ENVIRONMENT_ID = "local"
_MIN_OVERLAP = 0.3
_MAX_NEIGHBOURS = 5


class Models(Protocol):
    """The served models; `sagitta_server.models.ModelStore` is one."""

    def resolve(self, session_id: str = "", model_id: str = "") -> ModelHandle:
        """The model of a session."""
        ...

    def served(self) -> tuple[ModelHandle, ...]:
        """All models that can be queried by name."""
        ...


class Execution(Protocol):
    """Dialects and warehouses; `sagitta_server.queries.QueryService` is one."""

    def dialect(self, model: ResolvedModel, requested: str | None = None) -> str:
        """The dialect of a model's queries."""
        ...

    def source_for(self, dialect: str) -> Source:
        """The warehouse of a dialect."""
        ...

    @property
    def compiler(self) -> Compiler:
        """What makes a plan of a query."""
        ...


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A model taken from a dataset's own copy of its text."""

    model: ResolvedModel
    source: ModelSource


class LocalEnvironment:
    """Reviews of semantic models; works without any network."""

    def __init__(
        self,
        settings: LocalSettings,
        models: Models,
        execution: Execution,
        spool: Spool,
        ticket_key: bytes,
        *,
        public_url: str = "",
        flight_location: Callable[[], str | None] = lambda: None,
    ) -> None:
        self._settings = settings
        self._models = models
        self._execution = execution
        self._spool = spool
        self._key = ticket_key
        self._public_url = public_url.rstrip("/")
        self._flight_location = flight_location

    @property
    def environment_id(self) -> str:
        return ENVIRONMENT_ID

    @property
    def kind(self) -> str:
        return "local"

    @property
    def base_url(self) -> str:
        return ""

    @property
    def run_row_limit(self) -> int:
        return self._settings.run_row_limit

    def check_source(self, request: SourceRequest) -> None:
        selection = self._selection(request)
        if selection.query is not None:
            queries.read(selection.query)

    def identify(self, request: SourceRequest) -> Identified:
        selection = self._selection(request)
        found = self._find(selection, request.chosen_dataset)
        if not found:
            condition = Condition("SOURCE_NOT_FOUND", f"No served model answers to {selection.name!r}.", "link")
            return Identified(dataset_ref=f"unresolved:{selection.name}"[:200], conditions=(condition,))
        if len(found) > 1:
            options = tuple((_key(h), f"{h.name} in session {h.session_id}") for h in found[:10])
            message = f"{len(found)} models answer to {selection.name!r}; choose one."
            condition = Condition("DATASET_AMBIGUOUS", message, "link", options=options)
            return Identified(dataset_ref=f"unresolved:{selection.name}"[:200], conditions=(condition,))
        conditions: tuple[Condition, ...] = ()
        if selection.ignored:
            message = f"Ignored: {', '.join(selection.ignored)[:500]}."
            conditions = (Condition("LINK_PARTIALLY_UNDERSTOOD", message, "link"),)
        return Identified(_key(found[0]), f"model:{found[0].name}", conditions=conditions)

    def describe(self, request: SourceRequest, dataset_key: str) -> Dataset:
        handle = self._handle(dataset_key)
        if handle is None:
            raise EnvironmentUnavailableError("DATASET_NOT_ACCESSIBLE", "The model is not served any more.")
        selection = self._selection(request)
        document = _query_document(handle.model, selection)
        query = queries.read(document) if document is not None else None
        payload: dict[str, Json] = {
            "source": handle.source.to_record(),
            "key": dataset_key,
            "query": document,
            "params": dict(selection.params),
        }
        return describe_model(
            handle.model,
            handle.name,
            handle.content_key,
            payload,
            query,
            launchable=self._launchable(handle.model),
        )

    def filters(self, request: SourceRequest, dataset: Dataset) -> Recovered:
        loaded, payload = _own_copy(dataset)
        query = _query(payload)
        found = [
            *queries.review_filters(loaded.model.filters, "model filter", static=True),
            *(queries.review_filters(query.where, "where", static=False) if query else ()),
            *queries.parameters(dict(self._selection(request).params)),
        ]
        return Recovered(tuple(found))

    def offered_sources(self, request: SourceRequest, dataset: Dataset) -> tuple[OfferedSource, ...]:
        del request
        columns = frozenset(norm(c.name) for c in dataset.columns)
        others = [h for h in self._models.served() if f"model:{h.name}" != dataset.ref]
        scored = sorted(((_overlap(columns, h.model), h) for h in others), key=lambda pair: (-pair[0], pair[1].name))
        neighbours = [
            OfferedSource(SemanticSourceType.NEIGHBOR_DATASET, h.name, h.name, TrustLevel.CANDIDATE, round(score, 4))
            for score, h in scored
            if score >= _MIN_OVERLAP and h.name not in self._settings.reference_models
        ]
        references = [
            OfferedSource(
                SemanticSourceType.REFERENCE_DATASET, h.name, h.name, self._reference_trust(h.name), round(score, 4)
            )
            for score, h in scored
            if h.name in self._settings.reference_models
        ]
        return (*references, *neighbours[:_MAX_NEIGHBOURS])

    def dataset_texts(self, source_type: SemanticSourceType, ref: str, dataset: Dataset, user_id: str) -> DatasetTexts:
        del user_id
        columns = frozenset(norm(c.name) for c in dataset.columns)
        handle = self._other(ref, dataset, columns)
        if handle is None:
            raise ReviewError("semantic_source_not_found", f"No other served model answers to {ref!r}.")
        reference = source_type is SemanticSourceType.REFERENCE_DATASET
        trust = self._reference_trust(handle.name) if reference else TrustLevel.CANDIDATE
        return DatasetTexts(handle.name, trust, model_entries(handle.model), _overlap(columns, handle.model))

    def compile(self, request: CompileRequest) -> Compiled:
        loaded, payload = _own_copy(request.dataset)
        renderer = Renderer(request.values, request.filters)
        model = _with_tables(loaded, renderer)
        dialect = self._execution.dialect(model)
        query = _query(payload)
        if query is not None:
            return self._compiled(model, queries.fill(query, renderer), dialect, request.row_limit)
        try:
            return self._compiled(model, queries.whole_model(model), dialect, request.row_limit)
        except CompilationError:
            raw = queries.raw_fields(model, queries.base_object(model))
            return self._compiled(model, raw, dialect, request.row_limit)

    def live_state(self, request: SourceRequest, dataset: Dataset) -> LiveState:
        """A model that is gone counts as unchanged: the review keeps its own copy of the text."""
        del request
        loaded, payload = _own_copy(dataset)
        handle = self._handle(str(payload.get("key"))) or self._by_name(dataset.name)
        launchable = self._launchable(loaded.model)
        if handle is None or handle.content_key == loaded.source.content_key:
            return LiveState(dataset.revision, launchable)
        return LiveState(f"model:{handle.content_key}", launchable)

    def prepare_run(self, request: RunRequest) -> RunStart:
        expires_at = int(time.time()) + self._settings.ticket_ttl_s
        ticket = RunTicket(
            request.run_context_id, request.session_id, request.owner_id, sql_hash(request.sql), expires_at
        )
        location = self._flight_location()
        path = f"/api/dataset-orchestration/sessions/{request.session_id}/runs/{request.run_context_id}/result"
        return RunStart(
            sql_lab_session_ref=f"flight:{request.run_context_id}",
            redirect_url=f"{self._public_url}{path}",
            flight_ticket=base64.b64encode(sign(ticket, self._key)).decode(),
            flight_endpoints=(location,) if location else (),
            flight_schema=self._schema(request),
            flight_expires_s=self._settings.ticket_ttl_s,
        )

    def execute_run(self, request: RunRequest, *, first: bool, cancelled: Callable[[], bool]) -> RunOutcome:
        """Runs the text; after a crash a complete result is adopted and an incomplete one replaced."""
        held = None if first else self._spool.finished(request.run_context_id)
        if held is not None:
            return RunOutcome(error=held.error, row_count=held.rows, truncated=held.truncated, executed_sql=request.sql)
        self.tidy()
        try:
            rows = self._stream(request, cancelled)
        except (SourceError, ServiceError) as error:
            return self._failed(request, str(error))
        except SpoolFullError:
            limit = self._settings.spool_max_mib
            return self._failed(request, f"The result is larger than {limit} MiB; lower the row limit.")
        truncated = rows >= request.row_limit
        self._spool.finish(request.run_context_id, Finished(rows, truncated))
        return RunOutcome(row_count=rows, truncated=truncated, executed_sql=request.sql)

    def forget_runs(self, run_context_ids: tuple[str, ...]) -> None:
        self._spool.remove(run_context_ids)

    def tidy(self) -> None:
        self._spool.tidy(self._settings.result_ttl_s)

    @property
    def writes_back(self) -> bool:
        return False

    def publish(self, request: PublishRequest) -> PublishOutcome:
        del request
        raise ReviewError("publish_disabled", "Models are changed in their files; this environment takes no texts.")

    def health(self) -> Health:
        served = self._models.served()
        features = ["preview", *(["launch"] if any(self._launchable(h.model) for h in served) else [])]
        message = "" if served else "No model is served; load one first."
        return Health(True, message, tuple(features))

    def _selection(self, request: SourceRequest) -> Selection:
        return parse_selection(request.source_kind, request.source_input, self._public_url)

    def _find(self, selection: Selection, chosen: str | None) -> list[ModelHandle]:
        if chosen is not None:
            handle = self._handle(chosen) or self._by_name(chosen)
            return [handle] if handle is not None else []
        match selection.kind:
            case SelectionKind.SESSION_MODEL:
                handle = self._handle(selection.name)
                return [handle] if handle is not None else []
            case SelectionKind.TABLE:
                return _unique([h for h in self._models.served() if _object_of(h.model, selection.name) is not None])
            case SelectionKind.MODEL | SelectionKind.EXAMPLE:
                named = [h for h in self._models.served() if norm(h.name) == norm(selection.name)]
                if selection.example is not None:
                    named = [h for h in named if any(e.name == selection.example for e in h.model.examples)]
                return _unique(named)

    def _handle(self, key: str) -> ModelHandle | None:
        session_id, _, model_id = key.partition("/")
        try:
            return self._models.resolve(session_id, model_id)
        except ServiceError:
            return None

    def _by_name(self, name: str) -> ModelHandle | None:
        named = [h for h in self._models.served() if norm(h.name) == norm(name)]
        return named[-1] if named else None

    def _other(self, ref: str, dataset: Dataset, columns: frozenset[str]) -> ModelHandle | None:
        if ref == "auto":
            others = [h for h in self._models.served() if f"model:{h.name}" != dataset.ref]
            return max(others, key=lambda h: _overlap(columns, h.model), default=None)
        name = ref.removeprefix("model:").removeprefix("dataset:")
        return self._handle(name) if "/" in name else self._by_name(name)

    def _reference_trust(self, name: str) -> TrustLevel:
        return TrustLevel.TRUSTED if name in self._settings.trusted_models else TrustLevel.RECOMMENDED

    def _launchable(self, model: ResolvedModel) -> bool:
        try:
            self._execution.source_for(self._execution.dialect(model))
        except ServiceError:
            return False
        return True

    def _compiled(self, model: ResolvedModel, query: Query, dialect: str, row_limit: int) -> Compiled:
        limit = row_limit if query.limit is None else min(query.limit, row_limit)
        limited = replace(query, limit=limit)
        try:
            result = self._execution.compiler(
                model, limited, CompileContext(dialect=dialect, now=dt.datetime.now(dt.UTC))
            )
        except CompileError as error:
            raise _compilation_error(error) from error
        return Compiled(sql=result.sql, dialect=result.dialect, strategy="local")

    def _schema(self, request: RunRequest) -> str | None:
        if request.dialect is None:
            return None
        try:
            schema = self._execution.source_for(request.dialect).result_schema(request.sql)
        except (SourceError, ServiceError):
            return None
        return base64.b64encode(schema.serialize().to_pybytes()).decode()

    def _stream(self, request: RunRequest, cancelled: Callable[[], bool]) -> int:
        source = self._execution.source_for(request.dialect or "")
        token = CancelToken()
        rows = 0
        stop = _Watch(token, cancelled)
        with (
            stop,
            closing(source.execute(request.sql, token=token)) as stream,
            self._spool.write(request.run_context_id, stream.schema) as writer,
        ):
            for batch in batches_of(stream):
                writer.write(batch)
                rows += batch.num_rows
            token.raise_if_cancelled()  # before the stream is ended: what was cancelled never looks complete
        return rows

    def _failed(self, request: RunRequest, message: str) -> RunOutcome:
        self._spool.finish(request.run_context_id, Finished(0, False, message))
        return RunOutcome(error=message, executed_sql=request.sql)


class _Watch:
    """Cancels a statement as soon as its run is asked to stop."""

    def __init__(self, token: CancelToken, cancelled: Callable[[], bool]) -> None:
        self._token, self._cancelled = token, cancelled
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="review-run-watch", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(0.05):
            if self._cancelled():
                self._token.cancel()
                return


def _own_copy(dataset: Dataset) -> tuple[_Loaded, Mapping[str, Any]]:
    """The model from the review's own copy of its text, so that it can be compiled when nobody serves it any more."""
    payload: Any = load(dataset.payload)
    source = ModelSource.from_record(payload["source"])
    loaded = _load(source)
    if loaded.model is None:
        raise CompilationError("compilation_failed", "The model of this review cannot be read any more; import again.")
    return _Loaded(loaded.model, source), payload


def _load(source: ModelSource) -> LoadedModel:
    inherits = _load(source.inherits) if source.inherits is not None else None
    return load_model(source.text, name=source.name, extends=source.extends, inherits=inherits)


def _with_tables(loaded: _Loaded, renderer: Renderer) -> ResolvedModel:
    """The model with placeholders in table names filled; the compiler quotes the names."""
    if not any(
        isinstance(o.source, TableSource) and has_template_marks(o.source.code) for o in loaded.model.objects.values()
    ):
        return loaded.model
    document = yaml.safe_load(loaded.source.text)
    for item in document.get("dataObjects", {}).values():
        if isinstance(item.get("code"), str) and has_template_marks(item["code"]):
            name = renderer.value(item["code"])
            if not isinstance(name, str) or not name:
                raise CompilationError("compilation_failed", "A placeholder in a table name must give a text.")
            item["code"] = name
    filled = load_model(document, name=loaded.source.name, extends=loaded.source.extends)
    if filled.model is None:
        raise CompilationError("compilation_failed", "The model is not valid with these values.")
    return filled.model


def _query_document(model: ResolvedModel, selection: Selection) -> dict[str, Json] | None:
    if selection.query is not None:
        return selection.query
    if selection.example is not None:
        example = next(e for e in model.examples if e.name == selection.example)
        document: Any = load(dump(_jsonable(example.query)))
        return dict(document)
    if selection.kind is SelectionKind.TABLE:
        name = _object_of(model, selection.name)
        if name is not None:
            return {"select": {"fields": [f"{name}.{column}" for column in model.objects[name].columns]}}
    return None


def _query(payload: Mapping[str, Any]) -> Query | None:
    document = payload.get("query")
    return queries.read(document) if isinstance(document, dict) else None


def _jsonable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(item) for item in value]
    return value if value is None or isinstance(value, str | bool | int | float) else str(value)


def _object_of(model: ResolvedModel, table: str) -> str | None:
    """The data object that reads a table."""
    wanted = table.casefold()
    for item in model.objects.values():
        if isinstance(item.source, TableSource):
            qualified = item.source.qualified.casefold()
            if qualified == wanted or qualified.endswith(f".{wanted}"):
                return item.name
    return None


def _unique(handles: list[ModelHandle]) -> list[ModelHandle]:
    """One handle per content: the same model in two sessions is no ambiguity."""
    return list({h.content_key: h for h in handles}.values())


def _key(handle: ModelHandle) -> str:
    return f"{handle.session_id}/{handle.model_id}"


def _overlap(columns: frozenset[str], model: ResolvedModel) -> float:
    return schema_overlap(columns, frozenset(norm(name) for name in model.dimensions))


def _compilation_error(error: CompileError) -> CompilationError:
    first = error.diagnostics[0]
    text = "; ".join(d.message for d in error.diagnostics)
    return CompilationError(first.code, text)
