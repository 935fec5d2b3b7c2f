"""Settings of the gateway, frozen, from the command line and the environment."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import AliasChoices, Field, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX = "SAGITTA_GATEWAY_"


class GatewaySettings(BaseSettings):
    """Where the engine is, where to listen, and what a stranger may send."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_prefix=PREFIX,
        env_ignore_empty=True,
        populate_by_name=True,
        use_attribute_docstrings=True,
    )

    engine: str = "127.0.0.1:50051"
    """`host:port` of the engine's gRPC surface; several, separated by commas, share the queries."""
    listen: str = "127.0.0.1:8080"
    """`host:port`; port 0 takes a free one."""
    workers: int = Field(default=1, ge=1)
    """Processes that share the port."""
    engine_ca: Path | None = None
    """PEM file of the authority that signed the engine's certificate; empty: the engine is asked without TLS."""
    engine_certificate: Path | None = None
    """PEM file of the certificate that an engine asks of its clients."""
    engine_key: Path | None = None
    """PEM file of the key of that certificate."""
    tls_certificate: Path | None = None
    """PEM file of the gateway's certificate chain; empty: plain HTTP."""
    tls_key: Path | None = None
    """PEM file of its key."""
    tls_client_ca: Path | None = None
    """PEM file of the authority whose client certificates are required; empty: none are."""
    metrics_address: str = ""
    """`host:port` that serves `/metrics` of all workers; empty: none."""
    ready_file: str = ""
    """Written with the address once the gateway answers."""
    docs: bool = Field(default=True, validation_alias=AliasChoices(f"{PREFIX}DOCS", "EXPOSE_API_DOCS", "docs"))
    """Serves /docs."""
    openapi: bool = Field(
        default=True, validation_alias=AliasChoices(f"{PREFIX}OPENAPI", "EXPOSE_OPENAPI_SCHEMA", "openapi")
    )
    """Serves /openapi.json; /docs needs it."""
    root_path: str = Field(default="", validation_alias=AliasChoices(f"{PREFIX}ROOT_PATH", "ROOT_PATH", "root_path"))
    """The path under which a proxy serves the gateway, whether it takes it off or leaves it in place."""
    trusted_proxies: int = Field(
        default=0,
        ge=0,
        validation_alias=AliasChoices(f"{PREFIX}TRUSTED_PROXIES", "TRUSTED_PROXY_COUNT", "trusted_proxies"),
    )
    """Proxies in front whose X-Forwarded-For is believed: the client is that many entries from the right."""
    api_key_header: str = Field(
        default="X-API-Key",
        validation_alias=AliasChoices(f"{PREFIX}API_KEY_HEADER", "API_KEY_HEADER", "api_key_header"),
    )
    """The header of clients that is passed on to the engine as their API key."""
    max_body_bytes: int = Field(default=1_048_576, ge=1024)
    """A larger body is answered with 413."""
    max_model_body_bytes: int = Field(default=5_242_880, ge=1024)
    """The same for the paths that take the text of a model."""
    max_upload_bytes: int = Field(default=11_534_336, ge=1024)
    """The same for uploads of data dictionaries."""
    max_buffered_bytes: int = Field(default=8_388_608, ge=65_536)
    """A result of more Arrow bytes is streamed instead of being sent with its length."""
    log_level: Literal["CRITICAL", "ERROR", "WARNING", "INFO", "DEBUG"] = Field(
        default="WARNING", validation_alias=AliasChoices(f"{PREFIX}LOG_LEVEL", "log_level")
    )
    """`CRITICAL`, `ERROR`, `WARNING`, `INFO` or `DEBUG`."""

    @field_validator("root_path")
    @classmethod
    def _with_one_slash(cls, value: str) -> str:
        """`/a/b`, or nothing."""
        inner = value.strip("/")
        return f"/{inner}" if inner else ""

    @model_validator(mode="after")
    def _pairs(self) -> GatewaySettings:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("a certificate and its key go together")
        if (self.engine_certificate is None) != (self.engine_key is None):
            raise ValueError("the certificate for the engine and its key go together")
        return self
