"""Settings of the warehouses."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class SourceSettings(BaseModel):
    """One warehouse: where it is, how many statements may run at once."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    uri: str = "duckdb:///:memory:"
    """`duckdb:///file`, `duckdb:///:memory:`, `postgresql://...`, `sqlite:///file`, `grpc://host:port` (Flight SQL)."""
    dialect: str | None = None
    """The compiler's dialect; None takes it from the URI's scheme."""
    read_only: bool = True
    """Opens file databases read-only."""
    pool_size: int = Field(default=8, ge=1)
    """Statements that run at once."""
    queue_size: int = Field(default=256, ge=0)
    """Statements that may wait for a connection; one more is refused."""
    queue_timeout_seconds: float = Field(default=30.0, gt=0)
    """How long a statement waits for a connection."""
    options: dict[str, str] = Field(default_factory=dict)
    """Options of the driver, by their ADBC names."""
    init_sql: tuple[str, ...] = ()
    """Statements run on every new connection."""
