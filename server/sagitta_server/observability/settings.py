"""Settings of the endpoint that operators watch."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class MetricsSettings(BaseModel):
    """The endpoint of Prometheus and of probes; plain HTTP without authentication, for a private network."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    address: str = ""
    """`host:port` that serves `/metrics`, `/livez` and `/readyz`; empty: none. Port 0 takes a free one."""
