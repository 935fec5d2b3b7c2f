"""Settings of one Superset environment."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from sagitta_server.reviews.superset.rison import MAX_DEPTH


class CredentialsError(ValueError):
    """A variable that should hold a secret is not set; the message names it."""


class SupersetSettings(BaseModel):
    """One Superset; its secrets stand in environment variables, of which only the names are configured."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    kind: Literal["superset"] = "superset"
    """`superset`; the embedded environment `local` is always there and configured as `reviews.local`."""
    base_url: str
    """Where its API is called, e.g. `https://bi.example.com`; the only host that is ever called."""
    link_hosts: tuple[str, ...] = ()
    """Further host names that pasted links may have: public names of the same Superset."""
    username_env: str = ""
    """Name of the environment variable that holds the service account's name."""
    password_env: str = ""
    """Name of the environment variable that holds its password."""
    token_env: str = ""
    """Name of the environment variable that holds an access token, instead of name and password."""
    allow_plain_http: bool = False
    """Lets `base_url` be `http` on a host other than this machine."""
    verify_tls: bool = True
    """Refuses a certificate that nobody vouches for."""
    ca_file: Path | None = None
    """The certificates that vouch, instead of the system's."""
    timeout_s: float = Field(default=30.0, gt=0)
    """How long one call may take."""
    launch_timeout_s: float = Field(default=300.0, gt=0)
    """How long a run may take."""
    max_response_mib: int = Field(default=32, ge=1)
    """Largest answer that is read."""
    max_rison_depth: int = Field(default=MAX_DEPTH, ge=1, le=128)
    """How deep the filters in a link may nest; deeper ones are left out, and the review says so."""
    allow_probe: bool = True
    """Permits compiling by running a query that returns no rows, where Superset offers nothing better."""
    run_row_limit: int = Field(default=1000, ge=1, le=10_000_000)
    """Rows of a launched run."""
    reference_datasets: tuple[int, ...] = ()
    """Ids of datasets offered as reference."""
    trusted_datasets: tuple[int, ...] = ()
    """Ids of reference datasets whose texts are applied without review."""
    write_back: bool = False
    """Lets owners publish accepted texts to the dataset in Superset."""

    @field_validator("base_url")
    @classmethod
    def _url(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("must be an http or https URL")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("must hold neither credentials nor a query nor a fragment")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _consistent(self) -> SupersetSettings:
        if bool(self.username_env) != bool(self.password_env):
            raise ValueError("username_env and password_env belong together")
        if bool(self.token_env) == bool(self.username_env):
            raise ValueError("name either token_env, or username_env and password_env")
        plain = urlsplit(self.base_url).scheme == "http"
        if plain and not self.allow_plain_http and not _is_loopback(self.host):
            raise ValueError("base_url must be https (allow_plain_http permits http)")
        if unlisted := set(self.trusted_datasets) - set(self.reference_datasets):
            raise ValueError(f"trusted_datasets that are no reference_datasets: {sorted(unlisted)}")
        return self

    @property
    def host(self) -> str:
        """The host of `base_url`, in lower case."""
        return (urlsplit(self.base_url).hostname or "").lower()

    @property
    def hosts(self) -> frozenset[str]:
        """Every host that a pasted link may have, in lower case."""
        return frozenset({self.host, *(host.lower() for host in self.link_hosts)})


@dataclass(frozen=True, slots=True, repr=False)
class Credentials:
    """What the service account logs in with; never shown."""

    username: str = ""
    password: str = ""
    token: str = ""


def credentials(name: str, settings: SupersetSettings, environ: Mapping[str, str]) -> Credentials:
    """The secrets that an environment's settings name.

    Raises:
        CredentialsError: a variable is not set.
    """

    def value(variable: str) -> str:
        held = environ.get(variable, "") if variable else ""
        if variable and not held:
            raise CredentialsError(f"the review environment {name} needs the environment variable {variable}")
        return held

    return Credentials(value(settings.username_env), value(settings.password_env), value(settings.token_env))


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
