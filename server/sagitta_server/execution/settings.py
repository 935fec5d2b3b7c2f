"""Settings of the warehouses."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

DUCKDB_MEMORY_PERCENT = 80
"""What DuckDB takes of the machine's memory unless told otherwise."""


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

    @property
    def is_duckdb(self) -> bool:
        return self.uri.startswith("duckdb:")

    @property
    def can_be_shared(self) -> bool:
        """Whether several processes may open it: not a DuckDB file that one of them may write."""
        return self.read_only or not self.is_duckdb or self.uri.endswith(":memory:")

    def one_of(self, processes: int) -> SourceSettings:
        """The settings for one of several processes: an embedded DuckDB takes its part of the memory."""
        if processes == 1 or not self.is_duckdb or "memory_limit" in self.options:
            return self
        share = f"{DUCKDB_MEMORY_PERCENT // processes}%"
        return self.model_copy(update={"options": {**self.options, "memory_limit": share}})
