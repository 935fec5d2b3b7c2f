"""Builds the review service of an engine from its settings and parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from sagitta_server.auth.keys import dev_secret
from sagitta_server.execution import Source, open_source
from sagitta_server.reviews.ai import AiProvider, EmbeddedProvider
from sagitta_server.reviews.dictionaries import DictionaryReader
from sagitta_server.reviews.environment import Environment
from sagitta_server.reviews.local import LocalEnvironment
from sagitta_server.reviews.local.environment import ENVIRONMENT_ID, Execution, Models
from sagitta_server.reviews.run_tickets import ticket_key
from sagitta_server.reviews.service import ReviewService
from sagitta_server.reviews.settings import AiSettings, DictionarySettings, LocalSettings, ReviewSettings
from sagitta_server.reviews.spool import FolderSpool, Spool
from sagitta_server.reviews.spool_table import TableSpool
from sagitta_server.reviews.task_runner import Perform
from sagitta_server.state import Database

if TYPE_CHECKING:
    from sagitta_server.reviews.superset.client import AroundHttp
    from sagitta_server.reviews.superset.environment import SupersetEnvironment

_MIB = 1_048_576


class Closable(Protocol):
    """Something that was opened for the review service."""

    def close(self) -> None:
        """Ends it."""
        ...


@dataclass(frozen=True, slots=True)
class Reviews:
    """The review service and what other surfaces need of it."""

    service: ReviewService
    spool: Spool
    ticket_key: bytes
    """Verifies the tickets of runs."""
    owned: tuple[Closable, ...] = ()
    """Connections of dictionaries and environments."""

    def start(self) -> None:
        """Starts the background."""
        self.service.start()

    def stop(self) -> None:
        """Stops the background and closes what was opened."""
        self.service.stop()
        for connection in self.owned:
            connection.close()


def build_reviews(
    settings: ReviewSettings,
    data_dir: Path,
    database: Database,
    *,
    models: Models,
    execution: Execution,
    sources: Mapping[str, Source],
    flight_location: Callable[[], str | None] = lambda: None,
    ticket_secret: str | None = None,
    around_tasks: Callable[[Perform], Perform] = lambda perform: perform,
    around_http: AroundHttp = lambda transport: transport,
) -> Reviews:
    """The review service with its environments.

    Args:
        settings: how reviews behave.
        data_dir: where files and generated secrets lie.
        database: the state database.
        models: the served models.
        execution: dialects and warehouses.
        sources: the warehouses by name.
        flight_location: where the rows of runs are fetched.
        ticket_secret: signs tickets, the same at all replicas; None: one in the data directory.
        around_tasks: what is put around the performing of background tasks.
        around_http: what is put around calls of Superset.

    Raises:
        CredentialsError: a variable that should hold an environment's secret is not set.
    """
    key = ticket_key(ticket_secret or dev_secret(data_dir))
    spool = _spool(settings.local, data_dir, database)
    local = LocalEnvironment(
        settings.local,
        models,
        execution,
        spool,
        key,
        public_url=settings.public_url,
        flight_location=flight_location,
    )
    own = {
        name: open_source(f"dictionary {name}", d.connection)
        for name, d in settings.dictionaries.items()
        if d.connection
    }
    by_settings = {id(settings.dictionaries[name]): source for name, source in own.items()}

    def warehouse(dictionary: DictionarySettings) -> Source:
        held = by_settings.get(id(dictionary))
        if held is not None:
            return held
        return sources[dictionary.source] if dictionary.source else next(iter(sources.values()))

    elsewhere = _superset_environments(settings, around_http)
    reader = DictionaryReader(
        settings.dictionaries,
        settings.dictionary_dir,
        warehouse,
        lambda environment, dataset, limit: elsewhere[environment].rows(dataset, limit),
    )
    environments: dict[str, Environment] = {ENVIRONMENT_ID: local, **elsewhere}
    service = ReviewService(database, settings, environments, reader, _provider(settings.ai), around_tasks=around_tasks)
    return Reviews(service, spool, key, (*own.values(), *elsewhere.values()))


def _superset_environments(settings: ReviewSettings, around_http: AroundHttp) -> dict[str, SupersetEnvironment]:
    if not settings.environments:
        return {}
    from sagitta_server.reviews.superset.environment import SupersetEnvironment  # noqa: PLC0415 (brings an HTTP client)

    return {
        name: SupersetEnvironment.from_settings(name, held, around_http=around_http)
        for name, held in settings.environments.items()
    }


def _spool(settings: LocalSettings, data_dir: Path, database: Database) -> Spool:
    one, all_of_them = settings.spool_max_mib * _MIB, settings.results_max_mib * _MIB
    shared = settings.results == "database" or (settings.results == "auto" and database.dialect != "sqlite")
    if shared:
        return TableSpool(database, one, all_of_them)
    return FolderSpool(settings.results_dir or data_dir / "review-runs", one, all_of_them)


def _provider(settings: AiSettings) -> AiProvider:
    if settings.provider != "openai":
        return EmbeddedProvider()
    from sagitta_server.reviews.ai_openai import OpenAiProvider  # noqa: PLC0415 (brings an HTTP client with it)

    return OpenAiProvider(settings)
