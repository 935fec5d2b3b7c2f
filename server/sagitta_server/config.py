"""Every setting of the engine, frozen, from flags, environment and an optional TOML file.

A setting has a nested name (`sessions.ttl_seconds`, in the environment `SAGITTA_SESSIONS__TTL_SECONDS`) and often a
documented one (`SESSION_TTL_SECONDS`). Flags win over the environment, the nested name over the documented one, the
environment over the file named by `SAGITTA_CONFIG`.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote, urlencode

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from sagitta_server.auth import AuthSettings
from sagitta_server.cache.settings import CacheSettings
from sagitta_server.execution.settings import SourceSettings
from sagitta_server.flight.settings import FlightSettings
from sagitta_server.listening import TlsSettings
from sagitta_server.observability.settings import MetricsSettings, TracingSettings
from sagitta_server.reviews.settings import ReviewSettings

CONFIG_FILE = "SAGITTA_CONFIG"
"""Names the TOML file."""


class ConfigFileError(Exception):
    """The settings cannot be read at all; the message says where and why, without a value."""


class Section(BaseModel):
    """A group of settings; frozen, because freezing the outer model leaves nested ones mutable."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class SessionSettings(Section):
    """Life and number of semantic sessions."""

    ttl_seconds: int = Field(default=1800, ge=1)
    """Idle time after which a session expires."""
    max_age_seconds: int = Field(default=86_400, ge=1)
    """Age after which a session expires however busy it is."""
    cleanup_interval_seconds: float = Field(default=60.0, gt=0)
    """How often expired sessions are swept."""
    tombstone_seconds: int = Field(default=3600, ge=0)
    """How long an expired session answers 410 before it is unknown (404)."""
    max_sessions: int = Field(default=500, ge=1)
    """Sessions that may exist at once."""
    max_models_per_session: int = Field(default=10, ge=1)
    """Models that one session may hold."""
    rate_limit: int = Field(default=120, ge=0)
    """Sessions that one client address may create per minute; 0 sets no limit."""
    list_disabled: bool = False
    """Refuses the list of sessions."""


class ModelSettings(Section):
    """Models that the administrator serves."""

    files: tuple[str, ...] = ()
    """Model files; with any, models cannot be loaded or removed by clients."""
    directory: Path | None = None
    """The folder to which relative model files refer."""
    watch_interval_seconds: float = Field(default=1.0, ge=0)
    """How often the files are looked at for changes; 0 never."""
    cache_size: int = Field(default=256, ge=1)
    """Compiled models kept in memory; others are read again from the state database."""

    @field_validator("files", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files, relative ones placed below `directory`."""
        return tuple(self.directory / file if self.directory else Path(file) for file in self.files)


class QuerySettings(Section):
    """How queries run."""

    execute: bool = True
    """Whether queries may be executed; compiling is always possible."""
    default_limit: int = Field(default=10_000, ge=1)
    """Rows returned by `query/execute` when the query states no limit."""
    timeout_seconds: float = Field(default=300.0, gt=0)
    """How long one statement may run."""
    plan_cache_size: int = Field(default=4096, ge=0)
    """Compiled queries kept in memory."""
    max_text_bytes: int = Field(default=1_000_000, ge=1)
    """Size of a query's text."""
    default_locale: str = ""
    """Locale of formatted values when neither the request nor the model names one."""
    sparql_timeout_seconds: float = Field(default=5.0, gt=0)
    """How long one SPARQL query may run."""
    sparql_max_rows: int = Field(default=10_000, ge=1)
    """Rows that one SPARQL query may return."""


class BatchSettings(Section):
    """Limits of `oneshot/batch`."""

    max_queries: int = Field(default=50, ge=1)
    """Queries in one batch."""
    max_parallelism: int = Field(default=8, ge=1)
    """Queries of a batch that run at once."""
    default_timeout_ms: int = Field(default=30_000, ge=1)
    """Per query."""
    batch_timeout_ms: int = Field(default=120_000, ge=1)
    """For a whole batch."""


class PollingSettings(Section):
    """Queries that are started and polled over gRPC."""

    timeout_seconds: float = Field(default=3600.0, gt=0)
    """How long one of them may run."""
    ticket_seconds: int = Field(default=3600, ge=1)
    """How long a ticket is good and rows are kept after the last poll; a query that nobody polls so long is ended."""
    max_running: int = Field(default=32, ge=1)
    """Queries that run at once; one more is refused."""
    max_result_mib: int = Field(default=4096, ge=1)
    """The largest result that is kept."""


class GrpcSettings(Section):
    """The gRPC surface."""

    address: str = "127.0.0.1:50051"
    """`host:port`; port 0 takes a free one."""
    workers: int = Field(default=1, ge=1)
    """Processes of the engine that share the port, each with its own connections to the warehouses."""
    max_workers: int = Field(default=128, ge=1)
    """Calls that one process handles at once."""
    max_message_bytes: int = Field(default=16_777_216, ge=65_536)
    """Size of one gRPC message."""


class HttpSettings(Section):
    """The REST gateway that `sagitta serve` starts as a child."""

    address: str = "127.0.0.1:8080"
    """`host:port`; port 0 takes a free one."""
    workers: int = Field(default=1, ge=1)
    """Processes of the gateway."""


class AccessSettings(Section):
    """Who may call the semantic services."""

    mode: Literal["none", "api_key", "jwt"] = "none"
    """`none`: everybody; `api_key`: holders of a key; `jwt`: bearers of a token."""
    api_keys: tuple[SecretStr, ...] = ()
    """Accepted keys; several allow rotation."""
    api_key_header: str = "X-API-Key"
    """The header that carries an API key."""
    allow_unauthenticated: bool = False
    """Lets the engine listen on a public address without authentication."""
    heartbeat_token: SecretStr | None = None
    """Bearer token of `POST /v1/heartbeat`; without it the endpoint does not exist."""

    @field_validator("api_keys", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @model_validator(mode="after")
    def _strong(self) -> AccessSettings:
        if self.mode == "api_key" and not self.api_keys:
            raise ValueError("access mode api_key needs at least one key in API_KEYS")
        for key in self.api_keys:
            text = key.get_secret_value()
            if len(text) < 32 or len(set(text)) < 10:
                raise ValueError("an API key needs at least 32 characters, 10 of them distinct")
        return self


class LogSettings(Section):
    """Logging."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """`DEBUG`, `INFO`, `WARNING` or `ERROR`."""
    format: Literal["console", "json"] = "console"
    """`console` for people, `json` for machines."""

    @field_validator("level", mode="before")
    @classmethod
    def _upper(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @field_validator("format", mode="before")
    @classmethod
    def _known(cls, value: object) -> object:
        return "json" if value == "cloudrun" else value


class Settings(BaseSettings):
    """Everything the engine can be told."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_prefix="SAGITTA_",
        env_nested_delimiter="__",
        env_ignore_empty=True,
        use_attribute_docstrings=True,
    )

    data_dir: Path = Path("sagitta-data")
    """State, cache and generated keys live here."""
    state_url: str = ""
    """The state database; empty: SQLite in the data directory."""
    drain_seconds: float = Field(default=0.0, ge=0)
    """How long running statements may go on after a stop was asked for, while probes say that it is not ready."""
    db_vendor: str = ""
    """The dialect of a request that names none, where the model names none either."""
    sources: dict[str, SourceSettings] = Field(default_factory=lambda: {"default": SourceSettings()})
    """The warehouses by name; the first is the one that queries use."""
    sessions: SessionSettings = SessionSettings()
    models: ModelSettings = ModelSettings()
    query: QuerySettings = QuerySettings()
    batch: BatchSettings = BatchSettings()
    cache: CacheSettings = CacheSettings()
    polling: PollingSettings = PollingSettings()
    grpc: GrpcSettings = GrpcSettings()
    flight: FlightSettings = FlightSettings()
    http: HttpSettings = HttpSettings()
    tls: TlsSettings = TlsSettings()
    metrics: MetricsSettings = MetricsSettings()
    tracing: TracingSettings = TracingSettings()
    access: AccessSettings = AccessSettings()
    auth: AuthSettings = AuthSettings()
    reviews: ReviewSettings = ReviewSettings()
    log: LogSettings = LogSettings()

    @property
    def cache_dir(self) -> Path:
        """Where the file cache lives."""
        return self.data_dir / self.cache.dir

    @property
    def state_database_url(self) -> str:
        """The URL of the state database."""
        return self.state_url or f"sqlite:///{(self.data_dir / 'state.db').absolute()}"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 (the signature is pydantic's)
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags, nested environment names, documented environment names, the TOML file."""
        file = os.environ.get(CONFIG_FILE)
        toml = (_settings_file(settings_cls, Path(file)),) if file else ()
        return init_settings, NestedNames(settings_cls), DocumentedNames(settings_cls, os.environ), *toml


def _settings_file(settings_cls: type[BaseSettings], path: Path) -> TomlConfigSettingsSource:
    if not path.is_file():
        raise ConfigFileError(f"{CONFIG_FILE} names {path}, which is no file")
    try:
        return TomlConfigSettingsSource(settings_cls, path)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigFileError(f"{path} is not TOML: {error}") from None
    except OSError as error:
        raise ConfigFileError(f"{path} cannot be read: {error.strerror}") from None


def read_settings(**given: Any) -> Settings:
    """The settings: what is given, over the environment, over the file.

    Raises:
        ConfigFileError: the file cannot be read, or the environment names a group of settings that there is not.
        pydantic.ValidationError: a setting has a value that it cannot have.
    """
    known = {*Settings.model_fields, "gateway"}  # the gateway reads names of its own
    for name in os.environ:
        group, nested, _ = name.removeprefix("SAGITTA_").lower().partition("__")
        if name.startswith("SAGITTA_") and nested and group not in known:
            raise ConfigFileError(f"{name}: there is no group of settings {group!r}")
    try:
        return Settings(**given)
    except SettingsError as error:
        raise ConfigFileError(f"{error}: a group of settings is set by its members, SAGITTA_GROUP__NAME") from None


DOCUMENTED: Mapping[str, tuple[str, ...]] = {
    "LOG_LEVEL": ("log", "level"),
    "LOG_FORMAT": ("log", "format"),
    "AUTH_MODE": ("access", "mode"),
    "API_KEYS": ("access", "api_keys"),
    "API_KEY_HEADER": ("access", "api_key_header"),
    "HEARTBEAT_AUTH_TOKEN": ("access", "heartbeat_token"),
    "SESSION_TTL_SECONDS": ("sessions", "ttl_seconds"),
    "SESSION_MAX_AGE_SECONDS": ("sessions", "max_age_seconds"),
    "SESSION_CLEANUP_INTERVAL": ("sessions", "cleanup_interval_seconds"),
    "MAX_SESSIONS": ("sessions", "max_sessions"),
    "MAX_MODELS_PER_SESSION": ("sessions", "max_models_per_session"),
    "DISABLE_SESSION_LIST": ("sessions", "list_disabled"),
    "SESSION_RATE_LIMIT": ("sessions", "rate_limit"),
    "MODEL_FILES": ("models", "files"),
    "MODEL_DIR": ("models", "directory"),
    "QUERY_EXECUTE": ("query", "execute"),
    "QUERY_DEFAULT_LIMIT": ("query", "default_limit"),
    "DEFAULT_LOCALE": ("query", "default_locale"),
    "DB_VENDOR": ("db_vendor",),
    "FLIGHT_ENABLED": ("flight", "enabled"),
    "ONESHOT_BATCH_MAX_QUERIES": ("batch", "max_queries"),
    "ONESHOT_BATCH_MAX_PARALLELISM": ("batch", "max_parallelism"),
    "ONESHOT_BATCH_DEFAULT_TIMEOUT_MS": ("batch", "default_timeout_ms"),
    "ONESHOT_BATCH_BATCH_TIMEOUT_MS": ("batch", "batch_timeout_ms"),
    "CACHE_BACKEND": ("cache", "backend"),
    "CACHE_DIR": ("cache", "dir"),
    "CACHE_MIN_TTL_SECONDS": ("cache", "min_ttl_seconds"),
    "CACHE_MAX_TTL_SECONDS": ("cache", "max_ttl_seconds"),
    "CACHE_MAX_VALUE_BYTES": ("cache", "max_value_bytes"),
    "CACHE_MAX_DISK_BYTES": ("cache", "max_disk_bytes"),
    "CACHE_SWEEP_INTERVAL_SECONDS": ("cache", "sweep_interval_seconds"),
    "CACHE_UNKNOWN_FRESHNESS_POLICY": ("cache", "unknown_freshness_policy"),
    "CACHE_UNKNOWN_FRESHNESS_DEFAULT_TTL": ("cache", "unknown_freshness_default_ttl"),
}
"""The names of the REST reference and where they go."""


class NestedNames(EnvSettingsSource):
    """Reads the nested names; a list is written with commas, anything else of many parts as JSON."""

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        if isinstance(value, str) and not value.lstrip().startswith(("[", "{")):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return super().decode_complex_value(field_name, field, value)


class DocumentedNames(PydanticBaseSettingsSource):
    """Reads the environment names of the REST reference."""

    def __init__(self, settings_cls: type[BaseSettings], environment: Mapping[str, str]) -> None:
        super().__init__(settings_cls)
        self._environment = environment

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        return self()[field_name], field_name, False

    def __call__(self) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for name, path in DOCUMENTED.items():
            if text := self._environment.get(name, ""):
                _place(values, path, text)
        if port := self._environment.get("FLIGHT_PORT", ""):
            _place(values, ("flight", "address"), f"127.0.0.1:{port}")
        if source := _vendor_source(self._environment):
            values["sources"] = {"default": source}
        return values


def _place(values: dict[str, Any], path: tuple[str, ...], value: object) -> None:
    for key in path[:-1]:
        values = values.setdefault(key, {})
    values[path[-1]] = value


def _vendor_source(environment: Mapping[str, str]) -> dict[str, Any] | None:
    """The warehouse that `DB_VENDOR` and the vendor's own variables describe; None when they say nothing."""
    vendor = environment.get("DB_VENDOR", "").lower()
    pool = {"pool_size": int(size)} if (size := environment.get("DB_POOL_SIZE", "")).isdigit() else {}
    match vendor:
        case "duckdb" | "" if database := environment.get("DUCKDB_DATABASE", ""):
            return {"uri": f"duckdb:///{database}", "dialect": "duckdb", **pool}
        case "postgres" if environment.get("POSTGRES_HOST"):
            return {"uri": _postgres_uri(environment), "dialect": "postgres", **pool}
        case "dremio" if environment.get("DREMIO_HOST"):
            host, port = environment["DREMIO_HOST"], environment.get("DREMIO_PORT", "32010")
            options = _present(environment, {"username": "DREMIO_USERNAME", "password": "DREMIO_PASSWORD"})
            return {"uri": f"grpc://{host}:{port}", "dialect": "dremio", "options": options, **pool}
        case "snowflake" | "bigquery" | "databricks" | "mysql" | "clickhouse" if options := _vendor_options(
            vendor, environment
        ):
            return {"uri": f"adbc:{vendor}", "dialect": vendor, "options": options, **pool}
        case _:
            return None


def _postgres_uri(environment: Mapping[str, str]) -> str:
    user, password = environment.get("POSTGRES_USER", ""), environment.get("POSTGRES_PASSWORD", "")
    login = quote(user, safe="") + (f":{quote(password, safe='')}" if password else "")
    place = f"{environment['POSTGRES_HOST']}:{environment.get('POSTGRES_PORT', '5432')}"
    schema = environment.get("POSTGRES_SCHEMA", "")
    options = f"?{urlencode({'options': f'-csearch_path={schema}'})}" if schema else ""
    return (
        f"postgresql://{login + '@' if login else ''}{place}/{environment.get('POSTGRES_DBNAME', 'postgres')}{options}"
    )


def _present(environment: Mapping[str, str], names: Mapping[str, str]) -> dict[str, str]:
    return {option: environment[name] for option, name in names.items() if environment.get(name)}


def _vendor_options(vendor: str, environment: Mapping[str, str]) -> dict[str, str]:
    prefix = f"{vendor.upper()}_"
    return {
        name.removeprefix(prefix).lower(): value
        for name, value in environment.items()
        if name.startswith(prefix) and value
    }
