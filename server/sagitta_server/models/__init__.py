"""Sessions and their models: stored in the state database, compiled once per content, served to every surface."""

from sagitta_server.models.compiled import CompiledModels, ModelSource
from sagitta_server.models.sessions import Session, SessionStore
from sagitta_server.models.store import Loaded, ModelHandle, ModelStore

__all__ = ["CompiledModels", "Loaded", "ModelHandle", "ModelSource", "ModelStore", "Session", "SessionStore"]
