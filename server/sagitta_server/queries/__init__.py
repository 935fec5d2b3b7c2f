"""Queries from question to stream, for every surface: resolve the dialect, compile (once), execute, cut, cache."""

from sagitta_server.queries.run import Run, RunSummary
from sagitta_server.queries.service import QueryService, Question

__all__ = ["QueryService", "Question", "Run", "RunSummary"]
