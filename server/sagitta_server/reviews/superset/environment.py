"""Reviews of datasets that live in a Superset."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from sagitta_server.reviews.enums import SemanticSourceType, TrustLevel, VariableKind
from sagitta_server.reviews.environment import (
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
from sagitta_server.reviews.json_text import Json
from sagitta_server.reviews.names import norm, schema_overlap
from sagitta_server.reviews.superset.client import AroundHttp, SupersetClient, SupersetError
from sagitta_server.reviews.superset.compiling import Compiler
from sagitta_server.reviews.superset.datasets import (
    DIALECTS,
    DatabaseFacts,
    SqlText,
    describe_dataset,
    describe_text,
    entries,
    integer,
    payload_of,
    revision,
    templates,
    text_revision,
)
from sagitta_server.reviews.superset.filters import GUESSED, IN_URL, SAVED, dashboard_filters, form_filters, url_filters
from sagitta_server.reviews.superset.links import Link, LinkKind, parse_source
from sagitta_server.reviews.superset.publishing import publish
from sagitta_server.reviews.superset.rows import read_rows
from sagitta_server.reviews.superset.running import Runner
from sagitta_server.reviews.superset.settings import SupersetSettings, credentials
from sagitta_server.reviews.superset.sources import Found, SourceReader, sql_ref
from sagitta_server.reviews.template_variables import discover
from sagitta_server.reviews.values import Column, Condition, Dataset, Filter, TemplateText

_MIN_OVERLAP = 0.3
_MAX_NEIGHBOURS = 5
_MAX_LOOKED_AT = 25
_MAX_OPTIONS = 10
_MAX_DEPTH = 3
_JINJA = re.compile(r"\{%.*?%\}|\{#.*?#\}", re.DOTALL)
_EXPRESSION = re.compile(r"\{\{.*?\}\}", re.DOTALL)
_UNAVAILABLE = {"superset_auth_failed": "SUPERSET_AUTH_FAILED", "superset_forbidden": "SUPERSET_AUTH_FAILED"}


class SupersetEnvironment:
    """One configured Superset, asked as its service account."""

    def __init__(self, name: str, settings: SupersetSettings, client: SupersetClient) -> None:
        self._name = name
        self._settings = settings
        self._client = client
        self._sources = SourceReader(client, settings.max_rison_depth)
        self._compiler = Compiler(client, allow_probe=settings.allow_probe)
        self._runner = Runner(client, settings.launch_timeout_s)

    @classmethod
    def from_settings(
        cls,
        name: str,
        settings: SupersetSettings,
        environ: Mapping[str, str] = os.environ,
        around_http: AroundHttp = lambda transport: transport,
    ) -> SupersetEnvironment:
        """The environment of a section of the settings.

        Raises:
            CredentialsError: a variable that should hold a secret is not set.
        """
        return cls(name, settings, SupersetClient(settings, credentials(name, settings, environ), around_http))

    @property
    def environment_id(self) -> str:
        return self._name

    @property
    def kind(self) -> str:
        return "superset"

    @property
    def base_url(self) -> str:
        return self._settings.base_url

    @property
    def run_row_limit(self) -> int:
        return self._settings.run_row_limit

    @property
    def writes_back(self) -> bool:
        return self._settings.write_back

    def close(self) -> None:
        """Ends its connections."""
        self._client.close()

    def check_source(self, request: SourceRequest) -> None:
        self._link(request)

    def identify(self, request: SourceRequest) -> Identified:
        found = self._find(self._link(request))
        if found.missing:
            message = f"Superset has no such thing as {found.missing}, or its service account may not see it."
            condition = Condition("SOURCE_NOT_FOUND", message, "link")
            return Identified(dataset_ref="unresolved:missing", conditions=(condition,))
        dashboard_id = found.dashboard.dashboard_id if found.dashboard else None
        if found.sql is not None:
            return Identified("sqllab", sql_ref(found.sql), conditions=found.conditions)
        chosen = _chosen(request.chosen_dataset, found)
        if chosen is not None:
            return Identified(f"dataset:{chosen}", f"dataset:{chosen}", chosen, dashboard_id, found.conditions)
        what = f"dashboard:{dashboard_id}" if dashboard_id is not None else "source"
        reason = self._ambiguous(found) if found.datasets else _no_dataset()
        return Identified(
            dataset_ref=f"unresolved:{what}", dashboard_id=dashboard_id, conditions=(*found.conditions, reason)
        )

    def describe(self, request: SourceRequest, dataset_key: str) -> Dataset:
        if dataset_key == "sqllab":
            return self._describe_text(self._find(self._link(request)))
        return self._describe_dataset(int(dataset_key.removeprefix("dataset:")))

    def filters(self, request: SourceRequest, dataset: Dataset) -> Recovered:
        link = self._link(request)
        found = self._find(link)
        if found.missing:
            raise EnvironmentUnavailableError("SOURCE_NOT_FOUND", f"Meanwhile {found.missing} has gone from Superset.")
        read = {
            v.name for v in discover(dataset.templates).variables if v.kind is VariableKind.PARAMETER and v.is_escaped
        }
        given = {name: value for name, value in found.url_params.items() if name in read}
        ignored = sorted(set(found.url_params) - read)
        if link.is_sql_lab:
            ignored = [name for name in ignored if name not in {"savedQueryId", "queryId", "sql", "dbid", "schema"}]
        conditions = (*found.conditions, *([_ignored(ignored)] if ignored else []))
        return Recovered((*self._filters(found, dataset), *url_filters(given)), conditions)

    def offered_sources(self, request: SourceRequest, dataset: Dataset) -> tuple[OfferedSource, ...]:
        own = payload_of(dataset)
        names = frozenset(norm(c.name) for c in dataset.columns)
        try:
            references = [self._reference(number, names) for number in self._settings.reference_datasets]
            beside = self._beside(request, own.database_id, own.schema)
        except SupersetError as error:
            raise _unavailable(error) from error
        left_out = {own.dataset_id, *self._settings.reference_datasets}
        neighbours = [self._neighbour(number, names) for number in beside if number not in left_out]
        near = sorted(
            (n for n in neighbours if n is not None and (n.overlap or 0) >= _MIN_OVERLAP),
            key=lambda n: (-(n.overlap or 0), beside.index(int(n.source_ref.removeprefix("dataset:")))),
        )
        return (*(r for r in references if r is not None), *near[:_MAX_NEIGHBOURS])

    def dataset_texts(self, source_type: SemanticSourceType, ref: str, dataset: Dataset, user_id: str) -> DatasetTexts:
        try:
            other = self._other(ref, dataset)
        except SupersetError as error:
            raise _call_failed(error) from error
        if other is None:
            raise ReviewError(
                "semantic_source_not_found", f"Superset has no dataset {ref!r} that its service account may see."
            )
        names = frozenset(norm(c.name) for c in dataset.columns)
        reference = source_type is SemanticSourceType.REFERENCE_DATASET
        trust = self._trust(other) if reference else TrustLevel.CANDIDATE
        return DatasetTexts(other.name, trust, entries(other), _overlap(names, other))

    def rows(self, dataset_id: int, limit: int) -> list[dict[str, Json]]:
        """The first rows of a dataset, for dictionaries that are kept as one.

        Raises:
            ReviewError: `semantic_source_invalid`, it cannot be read.
        """
        try:
            return read_rows(self._client, dataset_id, limit)
        except SupersetError as error:
            raise ReviewError(
                "semantic_source_invalid", f"Dataset {dataset_id} cannot be read as a dictionary: {error.message[:300]}"
            ) from error

    def compile(self, request: CompileRequest) -> Compiled:
        return self._compiler.compile(request)

    def live_state(self, request: SourceRequest, dataset: Dataset) -> LiveState:
        payload = payload_of(dataset)
        try:
            facts = self._sources.database(payload.database_id)
            if payload.dataset_id is None:
                source = self._sources.find(self._link(request)).sql
                now = "" if source is None else text_revision(source)
            else:
                raw = self._sources.dataset(payload.dataset_id)
                now = "" if raw is None else revision(raw)
        except SupersetError as error:
            raise _unavailable(error) from error
        return LiveState(now, facts is not None and facts.launchable)

    def prepare_run(self, request: RunRequest) -> RunStart:
        return self._runner.prepare(request)

    def execute_run(self, request: RunRequest, *, first: bool, cancelled: Callable[[], bool]) -> RunOutcome:
        return self._runner.run(request, first=first, cancelled=cancelled)

    def health(self) -> Health:
        if not self._client.is_alive():
            return Health(False, "Superset cannot be reached.")
        try:
            databases = self._client.get("/api/v1/database/", {"q": "(columns:!(id,expose_in_sqllab),page_size:1)"})
            listed = databases.get("result") if isinstance(databases, dict) else None
            first = listed[0] if isinstance(listed, list) and listed and isinstance(listed[0], dict) else {}
            features = ["preview", *(["launch"] if first.get("expose_in_sqllab") else [])]
            number = integer(first.get("id"))
            if number is not None and self._compiler.formats(number):
                features.append("format_sql")
            elif self._settings.allow_probe:
                features.append("probe")
        except SupersetError as error:
            return Health(False, error.message)
        return Health(True, "", (*features, *(["publish"] if self.writes_back else [])))

    def forget_runs(self, run_context_ids: tuple[str, ...]) -> None:
        """Nothing is kept here: rows stay in SQL Lab."""

    def tidy(self) -> None:
        """Nothing is kept here."""

    def publish(self, request: PublishRequest) -> PublishOutcome:
        if not self.writes_back:
            raise ReviewError("publish_disabled", "Texts are not written back to this environment (write_back).")
        number = payload_of(request.dataset).dataset_id
        if number is None:
            raise ReviewError("publish_disabled", "A text of SQL Lab is no dataset; its fields have nowhere to go.")
        outcome = publish(self._client, number, request)
        if request.dry_run:
            return outcome
        dataset = self._describe_dataset(number)
        return replace(outcome, dataset=dataset if dataset.revision == request.dataset.revision else None)

    def _link(self, request: SourceRequest) -> Link:
        return parse_source(request.source_kind, request.source_input, self._settings.base_url, self._settings.hosts)

    def _find(self, link: Link) -> Found:
        try:
            return self._sources.find(link)
        except SupersetError as error:
            raise _unavailable(error) from error

    def _ambiguous(self, found: Found) -> Condition:
        options = []
        for number in found.datasets[:_MAX_OPTIONS]:
            raw = self._known(number)
            count = found.chart_counts.get(number, 0)
            name = f"dataset {number}" if raw is None else raw.get("table_name")
            charts = f" ({count} chart{'' if count == 1 else 's'})" if found.dashboard else ""
            options.append((f"dataset:{number}", f"{name}{charts}"))
        message = f"The source names {len(found.datasets)} datasets; choose the one to review."
        return Condition("DATASET_AMBIGUOUS", message, "link", options=tuple(options))

    def _known(self, number: int) -> dict[str, Json] | None:
        try:
            return self._sources.dataset(number)
        except SupersetError as error:
            raise _unavailable(error) from error

    def _describe_dataset(self, number: int) -> Dataset:
        raw = self._known(number)
        if raw is None:
            raise EnvironmentUnavailableError(
                "DATASET_NOT_ACCESSIBLE", f"Dataset {number} does not exist, or the service account may not see it."
            )
        return describe_dataset(raw, self._facts(raw), self.base_url, self._referred(raw, (number,)))

    def _facts(self, raw: Mapping[str, Json]) -> DatabaseFacts:
        """The dataset's database; one that the account may not see cannot be run on."""
        held = raw.get("database")
        own: Mapping[str, Json] = held if isinstance(held, dict) else {}
        number = integer(own.get("id")) or 0
        try:
            facts = self._sources.database(number)
        except SupersetError as error:
            raise _unavailable(error) from error
        name, backend = str(own.get("database_name") or ""), str(own.get("backend") or "")
        return facts or DatabaseFacts(number, name, backend, launchable=False)

    def _referred(self, raw: Mapping[str, Json], seen: tuple[int, ...]) -> tuple[TemplateText, ...]:
        """Templates of the datasets that this one's templates name with `dataset(n)`."""
        if len(seen) > _MAX_DEPTH:
            return ()
        found: list[TemplateText] = []
        for number in discover(templates(raw)).datasets:
            other = None if number in seen else self._known(number)
            if other is not None:
                found.extend(templates(other, f"dataset {number} "))
                found.extend(self._referred(other, (*seen, number)))
        return tuple(found)

    def _describe_text(self, found: Found) -> Dataset:
        source = found.sql
        if source is None:
            raise EnvironmentUnavailableError("DATASET_NOT_ACCESSIBLE", "The query of SQL Lab is gone.")
        try:
            facts = self._sources.database(source.database_id)
        except SupersetError as error:
            raise _unavailable(error) from error
        if facts is None:
            message = f"The service account may not see database {source.database_id}, on which the query runs."
            raise EnvironmentUnavailableError("DATASET_NOT_ACCESSIBLE", message)
        columns = tuple(Column(name) for name in _result_names(source, DIALECTS.get(facts.backend)))
        return describe_text(source, columns, sql_ref(source), facts, self.base_url)

    def _filters(self, found: Found, dataset: Dataset) -> tuple[Filter, ...]:
        if found.dashboard is not None:
            number = payload_of(dataset).dataset_id or 0
            return dashboard_filters(
                found.dashboard, number, in_url=found.in_url, state=found.state, state_is_lost=found.state_is_lost
            )
        if found.form is not None:
            return form_filters(found.form, IN_URL if found.form_in_url else GUESSED if found.state_is_lost else SAVED)
        return ()

    def _beside(self, request: SourceRequest, database_id: int, schema: str | None) -> list[int]:
        """Datasets of the same dashboard, then of the same database and schema."""
        link = self._link(request)
        dashboards = link.kind in {LinkKind.DASHBOARD, LinkKind.DASHBOARD_PERMALINK}
        near = self._sources.find(link).datasets if dashboards else ()
        rows = self._sources.datasets_beside(database_id, schema)
        numbers = [n for r in rows if (n := integer(r.get("id"))) is not None]
        return list(dict.fromkeys((*near, *numbers)))[:_MAX_LOOKED_AT]

    def _read(self, number: int) -> Dataset | None:
        """A dataset for its texts alone."""
        raw = self._sources.dataset(number)
        return None if raw is None else describe_dataset(raw, DatabaseFacts(0, "", "", launchable=False), self.base_url)

    def _reference(self, number: int, names: frozenset[str]) -> OfferedSource | None:
        other = self._read(number)
        if other is None:
            return None
        return OfferedSource(
            SemanticSourceType.REFERENCE_DATASET, other.ref, other.name, self._trust(other), _overlap(names, other)
        )

    def _neighbour(self, number: int, names: frozenset[str]) -> OfferedSource | None:
        try:
            other = self._read(number)
        except SupersetError as error:
            raise _unavailable(error) from error
        if other is None:
            return None
        return OfferedSource(
            SemanticSourceType.NEIGHBOR_DATASET, other.ref, other.name, TrustLevel.CANDIDATE, _overlap(names, other)
        )

    def _trust(self, other: Dataset) -> TrustLevel:
        listed = other.ref in {f"dataset:{number}" for number in self._settings.trusted_datasets}
        return TrustLevel.TRUSTED if listed or other.certified else TrustLevel.RECOMMENDED

    def _other(self, ref: str, dataset: Dataset) -> Dataset | None:
        """The dataset that a reference names: `dataset:12`, `12`, an exact name, or `auto` for the likest neighbour."""
        if ref == "auto":
            return self._likest(dataset)
        number = ref.removeprefix("dataset:")
        if number.isdigit() and len(number) < 19:
            return self._read(int(number))
        if not ref or "." in ref[:1]:
            return None
        found = [n for r in self._sources.datasets_like(ref) if (n := integer(r.get("id"))) is not None]
        others = [n for n in found if f"dataset:{n}" != dataset.ref]
        return self._read(others[0]) if len(others) == 1 else None

    def _likest(self, dataset: Dataset) -> Dataset | None:
        own = payload_of(dataset)
        names = frozenset(norm(c.name) for c in dataset.columns)
        rows = self._sources.datasets_beside(own.database_id, own.schema)[:_MAX_LOOKED_AT]
        numbers = [n for r in rows if (n := integer(r.get("id"))) is not None and n != own.dataset_id]
        others = [d for n in numbers if (d := self._read(n)) is not None]
        return max(others, key=lambda d: _overlap(names, d), default=None)


def _chosen(named: str | None, found: Found) -> int | None:
    """The dataset to review: the only one, or the one that the owner chose among the possible ones."""
    if len(found.datasets) == 1:
        return found.datasets[0]
    number = (named or "").removeprefix("dataset:").removesuffix("__table")
    return int(number) if number.isdigit() and int(number) in found.datasets else None


def _no_dataset() -> Condition:
    message = "The dashboard has neither charts nor filters on a dataset. Start from a dataset instead."
    return Condition("DATASET_UNRESOLVED", message, "link")


def _ignored(names: Iterable[str]) -> Condition:
    shown = ", ".join(names)[:500]
    return Condition("LINK_PARTIALLY_UNDERSTOOD", f"Parameters that nothing reads: {shown}.", "link")


def _overlap(names: frozenset[str], other: Dataset) -> float:
    return schema_overlap(names, frozenset(norm(c.name) for c in other.columns))


def _result_names(source: SqlText, dialect: str | None) -> tuple[str, ...]:
    """The columns that a text returns, as far as its own words tell; nothing is run to learn them."""
    plain = _EXPRESSION.sub("NULL", _JINJA.sub(" ", source.sql))
    try:
        tree = sqlglot.parse_one(plain.strip().rstrip(";"), read=dialect)
    except SqlglotError:
        return ()
    if not isinstance(tree, exp.Query):
        return ()
    return tuple(dict.fromkeys(name for name in tree.named_selects if name and name != "*"))


def _unavailable(error: SupersetError) -> EnvironmentUnavailableError:
    return EnvironmentUnavailableError(_UNAVAILABLE.get(error.code, "SUPERSET_UNREACHABLE"), error.message)


def _call_failed(error: SupersetError) -> ReviewError:
    code = error.code if error.code in {"superset_unreachable", "superset_timeout"} else "superset_error"
    return ReviewError(code, error.message)
