"""Settings of the review service."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from sagitta_server.execution.settings import SourceSettings
from sagitta_server.reviews.limits import LimitSettings
from sagitta_server.reviews.superset.settings import SupersetSettings


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class DictionarySettings(_Section):
    """A connected data dictionary: rows that describe fields, from a SELECT or from a dataset of a Superset."""

    query: str = ""
    """The SELECT; its column names tell what they hold (`column_name`, `table_name`, `label`, `description`, ...)."""
    environment: str = ""
    """Instead of a SELECT: name of the review environment, a Superset, that has the dictionary as a dataset."""
    dataset: int | None = Field(default=None, ge=1)
    """The id of that dataset; its columns are named as those of a SELECT are."""
    source: str | None = None
    """Name of a configured warehouse; None: the dictionary's own `connection`, else the first warehouse."""
    connection: SourceSettings | None = None
    """A connection of its own."""
    display_name: str | None = None
    """What people call it; None: its name."""
    cache_seconds: float = Field(default=900.0, ge=0)
    """How long its rows are believed."""

    @model_validator(mode="after")
    def _one_way(self) -> DictionarySettings:
        elsewhere = bool(self.environment) and self.dataset is not None
        if bool(self.query) == elsewhere or bool(self.environment) != (self.dataset is not None):
            raise ValueError("a dictionary has either a query, or an environment and a dataset")
        return self


class AiSettings(_Section):
    """Who drafts labels, descriptions and summaries."""

    provider: Literal["embedded", "openai"] = "embedded"
    """`embedded` works without any network; `openai` asks an OpenAI-compatible endpoint."""
    base_url: str = ""
    """Where `/chat/completions` is found, e.g. `https://host/v1`."""
    model: str = ""
    """The model that is asked."""
    api_key: SecretStr | None = None
    """Its key."""
    timeout_s: float = Field(default=30.0, gt=0)
    """How long one call may take."""
    max_fields_per_call: int = Field(default=40, ge=1, le=200)
    """Fields that one call describes."""

    @model_validator(mode="after")
    def _complete(self) -> AiSettings:
        if self.provider == "openai" and not (self.base_url and self.model):
            raise ValueError("the AI provider openai needs base_url and model")
        return self


class LocalSettings(_Section):
    """The embedded environment over semantic models of this server."""

    run_row_limit: int = Field(default=1000, ge=1, le=10_000_000)
    """Rows of a launched run."""
    results: Literal["auto", "folder", "database"] = "auto"
    """Where the rows of runs lie: in files of a folder, or in the state database, where every replica finds them.
    `auto`: in the database where it is a server, in the folder where it is a file."""
    results_dir: Path | None = None
    """The folder of results, which replicas may share; None: one in the data directory."""
    spool_max_mib: int = Field(default=512, ge=1)
    """Largest result that a run may keep."""
    results_max_mib: int = Field(default=4096, ge=1)
    """All results together; above it the oldest go."""
    result_ttl_s: int = Field(default=604_800, ge=60)
    """How long the rows of a run are kept."""
    ticket_ttl_s: int = Field(default=3600, ge=1)
    """How long a Flight ticket is valid."""
    reference_models: tuple[str, ...] = ()
    """Models offered as reference datasets."""
    trusted_models: tuple[str, ...] = ()
    """Reference models whose texts are applied without review."""


class ReviewSettings(_Section):
    """How reviews behave."""

    intake_wait_ms: int = Field(default=3000, ge=0)
    """How long starting a session waits for its import."""
    preview_wait_ms: int = Field(default=2000, ge=0)
    """How long asking for a preview waits for it."""
    launch_wait_ms: int = Field(default=5000, ge=0)
    """How long launching waits for the run to end."""
    preview_ttl_s: int = Field(default=86_400, ge=1)
    """Age at which a preview is out of date."""
    hide_foreign_sessions: bool = False
    """Answers 404 instead of 403 for sessions of others."""
    require_version: bool = False
    """Refuses mutations that do not say which version they are about."""
    max_sessions_per_user: int = Field(default=200, ge=1)
    """Open reviews that one user may have."""
    mutations_per_minute: int = Field(default=60, ge=0)
    """Changes of one user per minute, at all replicas together; so many at once, then evenly. 0 sets no limit."""
    max_watchers: int = Field(default=64, ge=1)
    """Streams of events and runs, and conversations, that are open at once; each holds a thread of the gRPC server."""
    workers: int = Field(default=4, ge=1, le=64)
    """Imports, previews and runs that go on at once."""
    lease_s: float = Field(default=60.0, gt=0)
    """How long a task stays with a worker that gives no sign of life."""
    max_upload_bytes: int = Field(default=10_485_760, ge=1)
    """Size of one uploaded file."""
    upload_ttl_s: int = Field(default=604_800, ge=60)
    """How long an upload waits to be used."""
    max_uploads_per_user: int = Field(default=20, ge=1)
    """Dictionaries that one user holds uploaded; the oldest goes for one more."""
    idempotency_ttl_s: int = Field(default=86_400, ge=60)
    """How long the answer to an idempotency key is kept."""
    archive_days: int = Field(default=90, ge=1)
    """How long artifacts and earlier previews of archived sessions are kept."""
    audit_keep_values: bool = True
    """Keeps filter values, template values and SQL texts in audit records; without them a record holds hashes."""
    dictionary_dir: Path | None = None
    """The folder whose files `file:<name>` names."""
    dictionaries: dict[str, DictionarySettings] = Field(default_factory=dict)
    """Connected data dictionaries by name."""
    environments: dict[str, SupersetSettings] = Field(default_factory=dict)
    """Superset environments by name, beside the embedded one, `local`."""
    public_url: str = ""
    """The gateway as clients reach it, for links in answers; empty: links are paths."""
    limits: LimitSettings = LimitSettings()
    ai: AiSettings = AiSettings()
    local: LocalSettings = LocalSettings()

    @model_validator(mode="after")
    def _dictionaries_exist(self) -> ReviewSettings:
        for name, dictionary in self.dictionaries.items():
            if dictionary.environment and dictionary.environment not in self.environments:
                raise ValueError(f"the dictionary {name} names no configured environment: {dictionary.environment!r}")
        return self

    @field_validator("environments")
    @classmethod
    def _names(cls, value: dict[str, SupersetSettings]) -> dict[str, SupersetSettings]:
        for name in value:
            if name == "local" or not name or len(name) > 64 or not name.isprintable():
                raise ValueError(f"{name!r} cannot name an environment; `local` is the embedded one")
        return value
