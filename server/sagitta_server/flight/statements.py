"""SQL text to a plan with a schema, and a plan to a stream."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
from sagitta.flight.v1 import ticket_pb2 as pb
from sagitta_compiler import CompileContext, CompiledQuery, CompileError, read_query
from sagitta_compiler.model.resolved import ResolvedModel
from sagitta_compiler.query.parse import is_query_object
from sagitta_compiler.query.query import Scalar
from sagitta_compiler.query.semantic_sql import (
    Acknowledgement,
    CatalogStatement,
    Core,
    Parameter,
    SemanticStatement,
    SqlCatalog,
    Translation,
    compile_statement,
    metadata_rows,
    table_columns,
    translate_sql,
)

from sagitta_server.cache import Contract, contracts
from sagitta_server.errors import Reason, ServiceError
from sagitta_server.execution import (
    CancelToken,
    ResultStream,
    Snapshot,
    SnapshotGoneError,
    SnapshotSource,
    batches_of,
    conform,
)
from sagitta_server.execution.conform import plain_schema
from sagitta_server.execution.snapshots import Reader
from sagitta_server.flight.catalog import column_type, information_schema
from sagitta_server.flight.partitions import can_be_cut, partitioned, partitions
from sagitta_server.flight.sessions import SessionContext
from sagitta_server.flight.snapshots import Snapshots
from sagitta_server.flight.type_info import column_metadata
from sagitta_server.queries.plan_cache import PlanCache

if TYPE_CHECKING:
    from sagitta_server.auth import Principal
    from sagitta_server.models import ModelHandle
    from sagitta_server.queries import QueryService

PLANS = 4096
SNAPSHOT_GONE = "SNAPSHOT_GONE"
_CLOCK_WORDS = ("current_", "now", "today", "getdate")
_PART_OF_A_DAY = 900
"""Seconds: in every zone a day begins with one of them, so that a plan which is kept as long holds for one day."""


@dataclass(frozen=True)
class Asked:
    """A statement with everything that its answer depends on besides the models."""

    sql: str
    values: tuple[Scalar, ...] | None
    """The bound values; None while it is being prepared."""
    context: SessionContext
    now: dt.datetime


@dataclass(frozen=True)
class Plan:
    """A statement that can run: the schema of its rows is known and what happens is decided."""

    translation: Translation
    schema: Any
    compiled: CompiledQuery | None
    parameters: tuple[Parameter, ...]
    version: str
    """Changes when one of the models changes."""
    rows: Any = None
    """The answer itself, when it comes from the catalog."""
    cache_key: str = ""
    """Identifies the content of the models that it asks."""
    contracts: Mapping[str, Contract] = field(default_factory=dict)
    """How long their tables stay the same."""


class Models:
    """The models that can be queried by SQL, by schema name."""

    def __init__(self, catalog_name: str, served: Sequence[ModelHandle], caller: Principal) -> None:
        self.catalog_name = catalog_name
        self.served = served
        self.caller = caller
        self.handles = {handle.name: handle.for_caller(caller) for handle in served}
        policies = any(handle.model.row_policies for handle in self.handles.values())
        self.policy_key = caller.policy_key if policies else ""
        """What an answer depends on besides the question, where models have row policies."""
        self.version = "|".join(f"{name}={handle.content_key}" for name, handle in sorted(self.handles.items()))

    def catalog(self, context: SessionContext) -> SqlCatalog:
        """Returns the catalog as a session sees it; a catalog that is a model's name chooses that model."""
        chosen = context.schema or (context.catalog if context.catalog != self.catalog_name else "")
        models = {name: handle.model for name, handle in self.handles.items()}
        catalog = SqlCatalog(self.catalog_name, models)
        if not chosen:
            return catalog
        found = catalog.model(chosen)
        if found is None:
            raise ServiceError(Reason.MODEL_NOT_FOUND, f"There is no model {chosen!r}.", metadata={"model": chosen})
        return replace(catalog, default=found[0])


class Statements:
    """Plans statements and runs them; every method may be called from any thread."""

    def __init__(self, queries: QueryService) -> None:
        self._queries = queries
        self._plans: PlanCache[Plan] = PlanCache(PLANS)

    def plan(self, asked: Asked, models: Models) -> Plan:
        """Returns the plan of a statement.

        Raises:
            CompileError: it is no SQL, or means nothing on the models.
            ServiceError: there is no warehouse for it.
            SourceError: the warehouse does not know its tables.
        """
        text = asked.sql.lower()
        reads_the_clock = any(word in text for word in _CLOCK_WORDS)
        moment = asked.now if reads_the_clock else asked.now.timestamp() // _PART_OF_A_DAY
        key = (models.version, models.policy_key, asked.sql, repr(asked.values), asked.context, moment)
        return self._plans.get(key, lambda: self._plan(asked, models))

    def _plan(self, asked: Asked, models: Models) -> Plan:
        catalog = models.catalog(asked.context)
        translation = (
            _query_object(asked.sql, catalog)
            if is_query_object(asked.sql)
            else translate_sql(asked.sql, catalog, parameters=asked.values, now=asked.now)
        )
        match translation:
            case SemanticStatement():
                return self._semantic(_limited(translation, asked.context), asked, models)
            case CatalogStatement():
                rows = _catalog_rows(translation, catalog)
                return Plan(translation, rows.schema, None, translation.parameters, models.version, rows)
            case Acknowledgement():
                return Plan(translation, pa.schema([]), None, (), models.version)

    def _semantic(self, statement: SemanticStatement, asked: Asked, models: Models) -> Plan:
        def compiled_core(core: Core) -> CompiledQuery:
            model = _in_zone(core.model, asked.context.time_zone)
            dialect = self._queries.dialect(model)
            policies = models.handles[core.schema].row_policies
            return self._queries.compiler(model, core.query, CompileContext(dialect, asked.now, policies))

        compiled = compile_statement(statement, compiled_core)
        schema = _described(self._queries.result_schema(compiled), models.catalog_name)
        asked_models = {core.schema: models.handles[core.schema] for core in statement.cores}
        return Plan(
            statement,
            schema,
            compiled,
            statement.parameters,
            models.version,
            cache_key="|".join(sorted({handle.content_key for handle in asked_models.values()})),
            contracts=contracts(*(handle.model for handle in asked_models.values())),
        )

    def run(self, plan: Plan, token: CancelToken) -> ResultStream:
        """Starts a plan; the stream has exactly the plan's schema."""
        match plan.translation:
            case SemanticStatement():
                assert plan.compiled is not None
                _, stream = self._queries.cached(plan.compiled, plan.cache_key, plan.contracts, token=token)
                try:
                    return conform(stream, plan.schema)
                except BaseException:
                    stream.close()
                    raise
            case CatalogStatement():
                return table_stream(plan.rows, token)
            case Acknowledgement():
                return table_stream(pa.schema([]).empty_table(), token)

    def partitions(self, plan: Plan, count: int, snapshots: Snapshots) -> list[pb.Partition]:
        """Returns the parts into which the result of a plan is cut; none where the whole needs no snapshot either.

        Raises:
            ServiceError, SourceError: the snapshot that the parts need cannot be held.
        """
        compiled = plan.compiled
        if compiled is None:
            return []
        source = self._queries.source_for(compiled.dialect)
        count = count if can_be_cut(compiled) else 1
        if count == 1 and not isinstance(source, SnapshotSource):
            return []
        shared = snapshots.hold(source, compiled.sql, count) if isinstance(source, SnapshotSource) else None

        def ask(sql: str) -> int:
            stream = source.execute(sql, token=self._queries.token())
            try:
                return sum(batch.column(0)[0].as_py() or 0 for batch in batches_of(stream))
            finally:
                stream.close()

        parts = partitions(compiled, plan.translation, count, ask)
        if shared is not None:
            for part in parts:
                part.snapshot.CopyFrom(shared)
        return parts

    def count(self, plan: Plan, parts: list[pb.Partition], token: CancelToken) -> int:
        """Returns how many rows a plan gives, in the snapshot of its parts."""
        if plan.compiled is None:
            return -1 if plan.rows is None else int(plan.rows.num_rows)
        source = self._source(plan.compiled, parts[0] if parts else pb.Partition())
        try:
            stream = source.execute(f"SELECT COUNT(*) FROM ({plan.compiled.sql}) AS counted", token=token)
        except SnapshotGoneError as error:
            raise snapshot_gone() from error
        try:
            return sum(batch.column(0)[0].as_py() for batch in batches_of(stream))
        finally:
            stream.close()

    def _source(self, compiled: CompiledQuery, part: pb.Partition) -> Reader:
        """The warehouse of a part, in the part's snapshot."""
        source = self._queries.source_for(compiled.dialect)
        if not part.HasField("snapshot"):
            return source
        if not isinstance(source, SnapshotSource):
            raise snapshot_gone()
        return source.at(Snapshot(part.snapshot.name, part.snapshot.content))

    def run_part(self, plan: Plan, part: pb.Partition, token: CancelToken) -> ResultStream:
        """Starts one part of a plan, in the snapshot that all parts share; the result cache has no say here.

        Raises:
            ServiceError: the snapshot is gone.
        """
        assert plan.compiled is not None
        compiled = partitioned(plan.compiled, plan.schema, part)
        try:
            stream = self._queries.execute(compiled, self._source(compiled, part), token=token)
        except SnapshotGoneError as error:
            raise snapshot_gone() from error
        try:
            return conform(stream, plan.schema)
        except BaseException:
            stream.close()
            raise

    def token(self, context: SessionContext) -> CancelToken:
        """Returns the token for one statement, with the session's time limit or the server's, whichever is shorter."""
        return self._queries.token(context.statement_timeout_seconds or None)


def snapshot_gone() -> ServiceError:
    """The refusal of a part whose snapshot nobody holds any more."""
    return ServiceError(
        Reason.INVALID_REQUEST,
        "The snapshot of this partition is gone: its time was over, every part was read, or the server that held it "
        "has stopped. Ask for the partitions again, and read all of them anew.",
        metadata={"code": SNAPSHOT_GONE},
    )


def _described(schema: Any, catalog: str) -> Any:
    """Adds what clients read about a column: its SQL type, precision and scale."""
    return pa.schema([field.with_metadata(column_metadata(catalog, "", "", field, None)) for field in schema])


def _query_object(text: str, catalog: SqlCatalog) -> SemanticStatement:
    """Reads a query object, asked of the session's model or of the only one."""
    schema = catalog.default_schema
    if schema is None:
        raise ServiceError(
            Reason.AMBIGUOUS_MODEL if catalog.models else Reason.NO_MODEL,
            "A query object names no model: choose one with the session's schema."
            if catalog.models
            else "There is no model to ask.",
        )
    query, diagnostics = read_query(text)
    if query is None:
        raise CompileError(diagnostics)
    return SemanticStatement((Core("core_1", schema, catalog.models[schema], query, ()),), ())


def _limited(statement: SemanticStatement, context: SessionContext) -> SemanticStatement:
    """Applies the session's row limit to a statement."""
    limit = context.row_limit
    if not limit:
        return statement
    if statement.outer is not None:
        outer = statement.outer.copy()
        own = outer.args.get("limit")
        if own is None or not own.expression.is_int or int(own.expression.name) > limit:
            outer = outer.limit(limit)
        return replace(statement, outer=outer)
    core = statement.cores[0]
    query = core.query
    if query.limit is None or query.limit > limit:
        query = replace(query, limit=limit)
    return replace(statement, cores=(replace(core, query=query),))


def _in_zone(model: ResolvedModel, zone: str) -> ResolvedModel:
    if not zone:
        return model
    try:
        zoneinfo.ZoneInfo(zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError) as error:
        raise ServiceError(
            Reason.UNKNOWN_TIMEZONE, f"There is no time zone {zone!r}.", metadata={"time_zone": zone}
        ) from error
    return replace(model, settings=replace(model.settings, query_timezone=zone))


def table_stream(table: Any, token: CancelToken) -> ResultStream:
    """Returns a stream over rows that are in memory."""
    return ResultStream(
        schema=table.schema,
        raw=table.to_reader(),
        cancel=token.cancel,
        close=token.finish,
        native=True,
        token=token,
    )


def _catalog_rows(statement: CatalogStatement, catalog: SqlCatalog) -> Any:
    """Runs a statement over catalog relations in a database of its own, which can reach nothing."""
    with duckdb.connect(config={"enable_external_access": "false", "lock_configuration": "true"}) as database:
        for name, relation in statement.relations:
            database.register(name, _relation(relation, catalog))
        try:
            table = database.sql(statement.tree.sql(dialect="duckdb")).to_arrow_table()
        except duckdb.Error as error:
            raise ServiceError(
                Reason.QUERY_INVALID, f"The catalog cannot be asked this: {str(error).splitlines()[0]}"
            ) from error
    return table.cast(plain_schema(table.schema))


def _relation(relation: str, catalog: SqlCatalog) -> Any:
    schema, _, name = relation.rpartition(".")
    if schema == "information_schema":
        return information_schema(catalog, name)
    columns = table_columns(catalog.models[schema], schema, name)
    rows = metadata_rows(catalog.models[schema], name)
    values = list(zip(*rows, strict=True)) or [() for _ in columns]
    return pa.table(
        [pa.array(v, column_type(c)) for v, c in zip(values, columns, strict=True)], names=[c.name for c in columns]
    )
