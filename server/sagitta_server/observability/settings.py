"""Settings of what operators watch: the endpoint of metrics and probes, and traces."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class MetricsSettings(BaseModel):
    """The endpoint of Prometheus and of probes; plain HTTP without authentication, for a private network."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    address: str = ""
    """`host:port` that serves `/metrics`, `/livez` and `/readyz`; empty: none. Port 0 takes a free one."""


class TracingSettings(BaseModel):
    """What traces show; whether there are any, and where they go, is said by OpenTelemetry's own `OTEL_*` variables."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    query_text: bool = False
    """Shows the text of statements (`db.query.text`), with the values in it, to whoever may read the traces."""
