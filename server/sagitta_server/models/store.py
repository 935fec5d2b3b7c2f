"""Finds, loads and removes the models that requests name: in sessions, or served by the administrator."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from sagitta_compiler import CompileError, Diagnostic, LoadedModel, ResolvedModel, Severity
from sagitta_compiler.model.row_policies import MissingClaimError, PolicyCaller, bind_row_policies
from sagitta_compiler.names import normalise_model_name
from sagitta_compiler.query.query import FilterNode

from sagitta_server.auth import Principal
from sagitta_server.characters import require_characters
from sagitta_server.config import Settings
from sagitta_server.errors import Reason, ServiceError, compile_error
from sagitta_server.models.compiled import CompiledModels, ModelSource
from sagitta_server.models.curated import CuratedModel, CuratedModels
from sagitta_server.models.sessions import Session, SessionStore, StoredModel

NO_POLICIES: Mapping[str, tuple[FilterNode, ...]] = MappingProxyType({})
UPLOAD_DISABLED = "Single-model mode: model upload is disabled."
REMOVAL_DISABLED = "Single-model mode: model removal is disabled."


@dataclass(frozen=True, slots=True)
class ModelHandle:
    """A model where a request found it. Equal `content_key`s are the same model, wherever they lie."""

    session_id: str
    model_id: str
    content_key: str
    loaded: LoadedModel
    source: ModelSource
    curated: bool = False
    caller: Principal | None = None
    """Who asks, which row policies need to know; None: nobody has said."""

    def for_caller(self, principal: Principal) -> ModelHandle:
        """The same model as a caller may see it."""
        return replace(self, caller=principal)

    @property
    def row_policies(self) -> Mapping[str, tuple[FilterNode, ...]] | None:
        """The predicates that the caller's rows must pass; None where the model has policies and nobody has asked.

        Raises:
            ServiceError: a policy needs a claim that the caller does not carry.
        """
        if not self.model.row_policies:
            return NO_POLICIES
        if self.caller is None:
            return None
        try:
            return bind_row_policies(self.model, PolicyCaller(dict(self.caller.claims), self.caller.roles))
        except MissingClaimError as error:
            raise ServiceError(
                Reason.PERMISSION_DENIED,
                str(error),
                metadata={"code": "ROW_POLICY_CLAIM", "data_object": error.data_object, "claim": error.claim},
            ) from None

    @property
    def model(self) -> ResolvedModel:
        assert self.loaded.model is not None
        return self.loaded.model

    @property
    def name(self) -> str:
        """The name by which SQL reaches it: the model's own, else its id."""
        return normalise_model_name(self.model.name or "") or f"model_{self.model_id}"


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model after `load`: where it is, and whether it was read now."""

    handle: ModelHandle
    reused: bool
    warnings: tuple[Diagnostic, ...]


@dataclass(frozen=True, slots=True)
class _Served:
    """The answer to `served`, and what it was made of."""

    curated: Mapping[str, CuratedModel]
    own: tuple[tuple[str, StoredModel], ...]
    handles: tuple[ModelHandle, ...]


class ModelStore:
    """The models of every session and of the administrator; every method may be called from any thread."""

    def __init__(
        self, settings: Settings, sessions: SessionStore, compiled: CompiledModels, curated: CuratedModels
    ) -> None:
        self._settings = settings
        self._served: _Served | None = None
        self._sessions = sessions
        self._compiled = compiled
        self.curated = curated

    # ------------------------------------------------------------ sessions

    def create_session(self, metadata: Mapping[str, str], client: str = "") -> Session:
        """Opens a session; with exactly one curated model it holds that model at once."""
        session = self._sessions.create(metadata, client, reserved=len(self.curated.models))
        return self.session(session.session_id)

    def list_sessions(self) -> tuple[Session, ...]:
        """The active sessions of clients, oldest first."""
        extra = len(self._seeded())
        return tuple(replace(session, model_count=session.model_count + extra) for session in self._sessions.list())

    def session(self, session_id: str) -> Session:
        """Describes a session and refreshes its last access."""
        if (curated := self.curated.models.get(session_id)) is not None:
            return curated.session()
        return self._sessions.describe(self._sessions.access(session_id), extra_models=len(self._seeded()))

    def close_session(self, session_id: str) -> None:
        """Closes a session.

        Raises:
            ServiceError: it is unknown, or belongs to the administrator.
        """
        if session_id in self.curated.models:
            raise ServiceError(
                Reason.SESSION_PROTECTED,
                f"Session '{session_id}' is served by the administrator and cannot be closed.",
                metadata={"session_id": session_id},
            )
        self._sessions.close(session_id)

    # ------------------------------------------------------------ loading

    def read_source(
        self, session_id: str, text: str, *, json: bool, extends: tuple[str, ...], inherits: str
    ) -> ModelSource:
        """Gathers the text of a request and of the model from which it inherits.

        Raises:
            ServiceError: the session is unknown, or the parent is not in it (PARENT_MODEL_NOT_FOUND).
        """
        for part in (text, *extends):
            require_characters(part)
        return ModelSource(text, json, extends, self._parent(session_id, inherits) if inherits else None)

    def load(self, session_id: str, source: ModelSource, *, dedup: bool = True) -> Loaded:
        """Reads a model into a session.

        Raises:
            ServiceError: models are curated, the model has errors, or the session is unknown or full.
        """
        self.require_uploads()
        entry = self._sessions.access(session_id)
        recognised = dedup and source.plain
        if recognised and (stored := entry.models.get(source.plain_id)) is not None:
            return Loaded(self._stored(session_id, stored), reused=True, warnings=())
        content_key = source.content_key
        loaded = self.compile(source)
        model_id = source.plain_id if recognised else secrets.token_hex(8)
        stored = self._sessions.add_model(
            entry, model_id, content_key, source.to_record(), self._settings.sessions.max_models_per_session
        )
        handle = ModelHandle(session_id, stored.model_id, stored.content_key, loaded, source)
        return Loaded(handle, reused=False, warnings=_warnings(loaded))

    def compile(self, source: ModelSource) -> LoadedModel:
        """Compiles a model that must be usable.

        Raises:
            ServiceError: MODEL_INVALID with every diagnostic.
        """
        loaded = self._compiled.load(source)
        if loaded.model is None:
            raise compile_error(CompileError(loaded.diagnostics), Reason.MODEL_INVALID)
        return loaded

    def validate(self, source: ModelSource) -> LoadedModel:
        """Compiles a model that may have errors, and stores nothing."""
        return self._compiled.load(source)

    def remove(self, session_id: str, model_id: str) -> None:
        """Removes a model from its session.

        Raises:
            ServiceError: models are curated, or there is no such session or model.
        """
        if self.curated.enabled:
            raise ServiceError(Reason.MODELS_CURATED, REMOVAL_DISABLED)
        entry = self._sessions.access(session_id)
        if not self._sessions.remove_model(entry, model_id):
            raise _model_not_found(session_id, model_id)

    def require_uploads(self) -> None:
        """Raises MODELS_CURATED where the administrator serves the models."""
        if self.curated.enabled:
            raise ServiceError(Reason.MODELS_CURATED, UPLOAD_DISABLED)

    # ------------------------------------------------------------ finding

    def resolve(self, session_id: str = "", model_id: str = "") -> ModelHandle:
        """Finds the model that a request names; a request that names nothing means the only model there is.

        Raises:
            ServiceError: the session or model is unknown or expired; without a name there is none, or several.
        """
        if not session_id:
            if model_id:
                raise ServiceError(Reason.INVALID_REQUEST, "A model_id needs a session_id.")
            return self._only_model()
        if model_id:
            return self._named(session_id, model_id)
        handles = self.in_session(session_id)
        if not handles:
            raise ServiceError(
                Reason.MODEL_NOT_FOUND,
                f"Session '{session_id}' holds no model; load one.",
                metadata={"session_id": session_id},
            )
        if len(handles) > 1:
            raise ServiceError(
                Reason.AMBIGUOUS_MODEL,
                f"Session '{session_id}' holds {len(handles)} models; name one by its model_id.",
                metadata={"session_id": session_id},
            )
        return handles[0]

    def only(self) -> ModelHandle | None:
        """The only model there is; None where there is none, or several."""
        try:
            return self._only_model()
        except ServiceError as error:
            if error.reason in {Reason.NO_MODEL, Reason.AMBIGUOUS_MODEL}:
                return None
            raise

    def in_session(self, session_id: str) -> tuple[ModelHandle, ...]:
        """The models of a session, in the order of loading."""
        if (curated := self.curated.models.get(session_id)) is not None:
            return (_curated_handle(curated, session_id),)
        entry = self._sessions.access(session_id)
        own = tuple(self._stored(session_id, stored) for stored in entry.models.values())
        return (*(_curated_handle(curated, session_id) for curated in self._seeded()), *own)

    def served(self) -> tuple[ModelHandle, ...]:
        """Every model that can be queried by name: curated ones first, then those of live sessions."""
        own = () if self.curated.enabled else self._sessions.live_models()
        curated = self.curated.models
        known = self._served
        if known is not None and known.curated is curated and known.own == own:
            return known.handles
        handles = (
            *(_curated_handle(each, each.name) for each in curated.values()),
            *(self._stored(session_id, stored) for session_id, stored in own),
        )
        # more than the cache of compiled models may hold would be kept in memory by their handles
        self._served = _Served(curated, own, handles) if len(own) <= self._settings.models.cache_size else None
        return handles

    # ------------------------------------------------------------ inside

    def _only_model(self) -> ModelHandle:
        if self.curated.enabled:
            handles = [_curated_handle(curated, curated.name) for curated in self.curated.models.values()]
        else:
            handles = [self._stored(session_id, stored) for session_id, stored in self._sessions.live_models(limit=2)]
        if not handles:
            raise ServiceError(Reason.NO_MODEL, "No session holds a model; open a session and load one.")
        if len(handles) > 1:
            raise ServiceError(
                Reason.AMBIGUOUS_MODEL,
                "Several models are loaded; use the paths below /v1/sessions/{session_id}.",
            )
        handle = handles[0]
        if not handle.curated:
            self._sessions.access(handle.session_id)
        return handle

    def _named(self, session_id: str, model_id: str) -> ModelHandle:
        if (curated := self.curated.models.get(session_id)) is not None:
            if model_id in {curated.model_id, curated.name}:
                return _curated_handle(curated, session_id)
            raise _model_not_found(session_id, model_id)
        entry = self._sessions.access(session_id)
        if (stored := entry.models.get(model_id)) is not None:
            return self._stored(session_id, stored)
        for seeded in self._seeded():
            if model_id in {seeded.model_id, seeded.name}:
                return _curated_handle(seeded, session_id)
        raise _model_not_found(session_id, model_id)

    def _seeded(self) -> tuple[CuratedModel, ...]:
        curated = tuple(self.curated.models.values())
        return curated if len(curated) == 1 else ()

    def _stored(self, session_id: str, stored: StoredModel) -> ModelHandle:
        if (compiled := self._compiled.peek(stored.content_key)) is not None:
            return ModelHandle(session_id, stored.model_id, stored.content_key, compiled.loaded, compiled.source)
        record = self._sessions.content(stored.content_key)
        if record is None:  # closed by someone else between two reads
            raise _model_not_found(session_id, stored.model_id)
        source = ModelSource.from_record(record)
        loaded = self._compiled.load(source, stored.content_key)
        if loaded.model is None:  # written by a release that accepted more
            raise compile_error(CompileError(loaded.diagnostics), Reason.MODEL_INVALID)
        return ModelHandle(session_id, stored.model_id, stored.content_key, loaded, source)

    def _parent(self, session_id: str, model_id: str) -> ModelSource:
        entry = self._sessions.access(session_id) if session_id else None
        stored = entry.models.get(model_id) if entry else None
        if stored is None:
            diagnostic = Diagnostic(
                "PARENT_MODEL_NOT_FOUND",
                f"The session holds no model '{model_id}' to inherit from.",
                "inherits",
                Severity.ERROR,
                hint="Load the parent first and name its model_id.",
                context={"model_id": model_id},
            )
            raise compile_error(CompileError([diagnostic]), Reason.MODEL_INVALID)
        return self._stored(session_id, stored).source


def _warnings(loaded: LoadedModel) -> tuple[Diagnostic, ...]:
    return tuple(diagnostic for diagnostic in loaded.diagnostics if not diagnostic.is_error)


def _curated_handle(curated: CuratedModel, session_id: str) -> ModelHandle:
    return ModelHandle(session_id, curated.model_id, curated.content_key, curated.loaded, curated.source, curated=True)


def _model_not_found(session_id: str, model_id: str) -> ServiceError:
    return ServiceError(
        Reason.MODEL_NOT_FOUND,
        f"Model '{model_id}' not found in session '{session_id}'.",
        metadata={"session_id": session_id, "model_id": model_id},
    )
