"""The one way from a question to rows."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sagitta_compiler import (
    CompileContext,
    CompiledQuery,
    CompileError,
    Diagnostic,
    Query,
    ResolvedModel,
    compile_query,
    read_query,
)
from sagitta_compiler.query.query import FilterNode

from sagitta_server.cache import CacheRequest, Contract, Lookup, ResultCache, contracts
from sagitta_server.characters import require_characters
from sagitta_server.config import Settings
from sagitta_server.errors import Reason, ServiceError
from sagitta_server.execution import CancelToken, ResultStream, Source, conform, declared_schema
from sagitta_server.execution.snapshots import Reader
from sagitta_server.models import ModelHandle
from sagitta_server.queries.plan_cache import PlanCache
from sagitta_server.queries.run import Run
from sagitta_server.queries.timezones import DatabaseZones, ZoneChain, requested_zone, resolve_zone

FALLBACK_DIALECT = "postgres"

Compiler = Callable[[ResolvedModel, Query, CompileContext], CompiledQuery]
"""What `compile_query` is."""


@dataclass(frozen=True, slots=True)
class Question:
    """A query as it came in: read already, or as a text of the query language."""

    query: Query | None = None
    text: str | None = None
    translated: str | None = None
    """The query in the query language, where the question was SQL."""

    @property
    def key(self) -> str:
        """Tells questions apart; equal numbers of different types are different questions."""
        return self.text if self.text is not None else repr(self.query)


class QueryService:
    """Compiles and executes; every method may be called from any thread. `compiler` makes new plans."""

    def __init__(
        self,
        settings: Settings,
        sources: Mapping[str, Source],
        cache: ResultCache,
        *,
        now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
        compiler: Compiler = compile_query,
    ) -> None:
        self.compiler = compiler
        self._settings = settings
        self._sources = sources
        self._cache = cache
        self._now = now
        self._queries: PlanCache[Query] = PlanCache(settings.query.plan_cache_size)
        self._plans: PlanCache[CompiledQuery] = PlanCache(settings.query.plan_cache_size)
        self._schemas: PlanCache[Any] = PlanCache(settings.query.plan_cache_size)
        self._contracts: PlanCache[dict[str, Contract]] = PlanCache(settings.models.cache_size)
        self._zones = DatabaseZones()

    # ------------------------------------------------------------ compiling

    @property
    def server_dialect(self) -> str:
        """The dialect of a request where neither it nor the model names one."""
        if self._settings.db_vendor:
            return self._settings.db_vendor
        return next((source.dialect for source in self._sources.values()), FALLBACK_DIALECT)

    def dialect(self, model: ResolvedModel, requested: str | None = None) -> str:
        """The documented chain: the request, the model's default, the server's, postgres."""
        return requested or model.settings.default_dialect or self.server_dialect

    def read(self, question: Question) -> Query:
        """Returns the query that a question states.

        Raises:
            CompileError: with every mistake of the text.
        """
        if question.query is not None:
            return question.query
        text = question.text or ""
        return self._queries.get(text, lambda: self._read_text(text))

    def compile(
        self,
        handle: ModelHandle,
        question: Question | Query | str,
        dialect: str | None = None,
        *,
        limit: int | None = None,
    ) -> CompiledQuery:
        """Compiles a question, or returns the plan made for it before; `limit` replaces that of the question.

        Raises:
            CompileError: with every mistake of the query.
        """
        asked = _question(question)
        chosen = self.dialect(handle.model, dialect)
        today = self._today(handle.model)
        policies = handle.row_policies
        key = (handle.content_key, chosen, asked.key, limit, today, _policy_key(policies))

        def compiled() -> CompiledQuery:
            query = self.read(asked)
            limited = query if limit is None else replace(query, limit=limit)
            return self.compiler(handle.model, limited, CompileContext(chosen, today, policies))

        return self._plans.get(key, compiled)

    def result_schema(self, compiled: CompiledQuery) -> Any:
        """The `pyarrow.Schema` of a compiled query's result, without running it."""
        source = self.source_for(compiled.dialect)

        def schema() -> Any:
            return declared_schema(source.result_schema(compiled.sql), compiled.columns)

        return self._schemas.get((source.name, compiled.sql), schema)

    # ------------------------------------------------------------ executing

    def source_for(self, dialect: str) -> Source:
        """The first source of a dialect.

        Raises:
            ServiceError: executing is switched off, or there is no such source.
        """
        if not self._settings.query.execute:
            raise ServiceError(
                Reason.EXECUTION_UNAVAILABLE,
                "Query execution is not available: it is switched off (QUERY_EXECUTE).",
            )
        for source in self._sources.values():
            if source.dialect == dialect:
                return source
        raise ServiceError(
            Reason.EXECUTION_UNAVAILABLE,
            f"Query execution is not available: no warehouse of dialect '{dialect}' is configured "
            "(DB_VENDOR and its credentials, or a source).",
            metadata={"dialect": dialect},
        )

    def execute(
        self, compiled: CompiledQuery, source: Reader | None = None, *, token: CancelToken | None = None
    ) -> ResultStream:
        """Starts a compiled query; the stream has the declared labels and types."""
        chosen = source or self.source_for(compiled.dialect)
        stream = chosen.execute(compiled.sql, token=token or self.token())
        try:
            return conform(stream, declared_schema(stream.schema, compiled.columns))
        except BaseException:
            stream.close()
            raise

    def cached(
        self,
        compiled: CompiledQuery,
        model_key: str,
        declared: Mapping[str, Contract],
        source: Source | None = None,
        *,
        token: CancelToken | None = None,
        accepted_age: int | None = None,
    ) -> tuple[Lookup | None, ResultStream]:
        """Starts a compiled query, or takes its result from the cache.

        Args:
            compiled: the query.
            model_key: identifies the content of the models that it reads.
            declared: their freshness contracts.
            source: the warehouse; by default the one of the query's dialect.
            token: cancels it.
            accepted_age: the age in seconds up to which the caller accepts a stored result; 0 asks for a fresh one.
        """
        chosen = source or self.source_for(compiled.dialect)
        if self._cache.backend == "noop":
            return None, self.execute(compiled, chosen, token=token)
        lookup = self._cache.lookup(
            CacheRequest(
                datasource=chosen.name,
                model=model_key,
                dialect=compiled.dialect,
                sql=compiled.sql,
                tables=compiled.physical_tables,
                contracts=declared,
                cap_seconds=accepted_age,
            )
        )
        if lookup.hit is None:
            return lookup, self._cache.store(lookup, self.execute(compiled, chosen, token=token))
        ending = token or self.token()
        return lookup, replace(lookup.hit.stream, cancel=ending.cancel, close=ending.finish, token=ending)

    def token(self, timeout_seconds: float | None = None) -> CancelToken:
        """A token for one statement, with the server's time limit or a shorter one."""
        limit = self._settings.query.timeout_seconds
        return CancelToken(limit if timeout_seconds is None else min(limit, timeout_seconds))

    def run(
        self,
        handle: ModelHandle,
        question: Question | Query | str,
        dialect: str | None = None,
        *,
        token: CancelToken | None = None,
        default_limit: bool = True,
        timezone: str = "",
        accepted_age: int | None = None,
    ) -> Run:
        """Compiles and starts a question, or takes its result from the cache if it is not older than `accepted_age`.

        Raises:
            CompileError: the query is wrong.
            ServiceError: it cannot be executed here.
            SourceError: the warehouse failed.
        """
        asked = _question(question)
        zone = requested_zone(timezone) if timezone else ""
        cut_at = self._settings.query.default_limit if default_limit and self.read(asked).limit is None else None
        shown = self.compile(handle, asked, dialect, limit=cut_at)
        executed = shown if cut_at is None else self.compile(handle, asked, dialect, limit=cut_at + 1)
        source = self.source_for(shown.dialect)
        chain = resolve_zone(handle.model.settings, self._zones.learn(source), zone)  # a statement of its own, maybe
        started = time.perf_counter()
        lookup, stream = self._stream(handle, executed, source, token=token, accepted_age=accepted_age)
        return Run(
            compiled=shown,
            stream=stream,
            timezone=chain.effective,
            locale=handle.model.settings.default_locale or self._settings.query.default_locale,
            cut_at=cut_at,
            started=started,
            cached_at=lookup.hit.cached_at if lookup and lookup.hit else None,
            freshness=lookup.freshness if lookup else None,
        )

    def explain(self, compiled: CompiledQuery) -> str:
        """The warehouse's own plan."""
        return self.source_for(compiled.dialect).explain(compiled.sql)

    def zone_chain(self, model: ResolvedModel | None) -> ZoneChain:
        """The zone chain as it stands now; the warehouse is not asked."""
        dialect = self.dialect(model) if model else self.server_dialect
        source = next((source for source in self._sources.values() if source.dialect == dialect), None)
        return resolve_zone(model.settings if model else None, self._zones.known(source.name) if source else None)

    # ------------------------------------------------------------ inside

    def _stream(
        self,
        handle: ModelHandle,
        compiled: CompiledQuery,
        source: Source,
        *,
        token: CancelToken | None,
        accepted_age: int | None,
    ) -> tuple[Lookup | None, ResultStream]:
        declared = self._contracts.get(handle.content_key, lambda: contracts(handle.model))
        return self.cached(compiled, handle.content_key, declared, source, token=token, accepted_age=accepted_age)

    def _read_text(self, text: str) -> Query:
        limit = self._settings.query.max_text_bytes
        if len(text.encode()) > limit:
            raise CompileError([Diagnostic("QUERY_TOO_LARGE", f"A query's text may have {limit} bytes.")])
        require_characters(text)
        query, diagnostics = read_query(text)
        if query is None:
            raise CompileError(diagnostics)
        return query

    def _today(self, model: ResolvedModel) -> dt.datetime:
        """Midnight of the present day on the model's clock: the same all day long, so that plans can be kept."""
        return model.settings.local(self._now()).replace(hour=0, minute=0, second=0, microsecond=0)


def _policy_key(policies: Mapping[str, tuple[FilterNode, ...]] | None) -> str:
    """Tells row policies apart, as part of a plan's key; equal numbers of different types are different."""
    return repr(policies) if policies else ""


def _question(question: Question | Query | str) -> Question:
    match question:
        case Question():
            return question
        case Query():
            return Question(query=question)
        case str():
            return Question(text=question)
