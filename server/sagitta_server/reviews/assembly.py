"""Builds the review service of an engine from its settings and parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sagitta_server.auth.keys import dev_secret
from sagitta_server.execution import Source, open_source
from sagitta_server.execution.spool import Spool
from sagitta_server.reviews.ai import AiProvider, EmbeddedProvider
from sagitta_server.reviews.dictionaries import DictionaryReader
from sagitta_server.reviews.local import LocalEnvironment
from sagitta_server.reviews.local.environment import ENVIRONMENT_ID, Execution, Models
from sagitta_server.reviews.run_tickets import ticket_key
from sagitta_server.reviews.service import ReviewService
from sagitta_server.reviews.settings import AiSettings, DictionarySettings, ReviewSettings
from sagitta_server.state import Database

_MIB = 1_048_576


@dataclass(frozen=True, slots=True)
class Reviews:
    """The review service and what other surfaces need of it."""

    service: ReviewService
    spool: Spool
    ticket_key: bytes
    """Verifies the tickets of runs."""
    owned_sources: tuple[Source, ...] = ()
    """Connections that dictionaries opened for themselves."""

    def start(self) -> None:
        """Starts the background."""
        self.service.start()

    def stop(self) -> None:
        """Stops the background and closes what was opened."""
        self.service.stop()
        for source in self.owned_sources:
            source.close()


def build_reviews(
    settings: ReviewSettings,
    data_dir: Path,
    database: Database,
    *,
    models: Models,
    execution: Execution,
    sources: Mapping[str, Source],
    flight_location: Callable[[], str | None] = lambda: None,
) -> Reviews:
    """The review service with the embedded environment."""
    key = ticket_key(dev_secret(data_dir))
    spool = Spool(data_dir / "review-runs", settings.local.spool_max_mib * _MIB)
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

    reader = DictionaryReader(settings.dictionaries, settings.dictionary_dir, warehouse)
    service = ReviewService(database, settings, {ENVIRONMENT_ID: local}, reader, _provider(settings.ai))
    return Reviews(service, spool, key, tuple(own.values()))


def _provider(settings: AiSettings) -> AiProvider:
    if settings.provider != "openai":
        return EmbeddedProvider()
    from sagitta_server.reviews.ai_openai import OpenAiProvider  # noqa: PLC0415 (brings an HTTP client with it)

    return OpenAiProvider(settings)
