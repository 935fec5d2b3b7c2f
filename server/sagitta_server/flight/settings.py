"""Settings of the Flight SQL surface."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, SecretStr


class FlightSettings(BaseModel):
    """The Flight SQL surface."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    enabled: bool = True
    """Whether Flight SQL is served."""
    address: str = "127.0.0.1:32010"
    """`host:port`; port 0 takes a free one."""
    catalog_name: str = "sagitta"
    """The name of the one catalog."""
    ticket_seconds: int = Field(default=3600, ge=1)
    """How long a ticket is good for; RenewFlightEndpoint extends it."""
    prepared_seconds: int = Field(default=86_400, ge=1)
    """How long a prepared statement is good for."""
    session_seconds: int = Field(default=3600, ge=1)
    """Idle time after which session options are forgotten."""
    connection_sessions: bool = True
    """Remembers the options of clients without cookies by connection; off behind a proxy that shares connections."""
    max_sessions: int = Field(default=10_000, ge=1)
    """Connections whose options are remembered; the one idle longest goes first."""
    max_parameter_rows: int = Field(default=1000, ge=1)
    """Rows of parameters that a prepared query may be executed with."""
    snapshot_seconds: int = Field(default=900, ge=1)
    """How long a warehouse holds the snapshot of a partitioned result; its tickets are good for as long."""
    max_snapshots: int = Field(default=16, ge=1)
    """Snapshots held at once, each on a connection of its own."""
    secret: SecretStr | None = None
    """Signs tickets, handles and issued tokens; replicas need the same. None: a secret in the data directory."""
    max_partitions: int = Field(default=64, ge=1)
    """Parts into which a client may have its result cut."""
