"""Which of the processes of one engine this is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sagitta_server.state.generation import Generation, own_generation, shared_generation


@dataclass(frozen=True, slots=True)
class Worker:
    """One of several processes that share a gRPC port, a data directory and a state database.

    Each is an engine like one that runs alone. The first serves Flight SQL too, whose library cannot share a port.
    """

    number: int = 0
    """From 0."""
    count: int = 1
    """How many there are."""
    grpc_address: str = ""
    """`host:port` that the first has taken; empty for the first."""
    flight_location: str | None = None
    """Where the first serves Flight SQL."""

    @property
    def is_first(self) -> bool:
        return self.number == 0

    @property
    def is_alone(self) -> bool:
        return self.count == 1

    def generation(self, data_dir: Path) -> Generation:
        """What tells this process that another one has changed something."""
        if self.is_alone:
            return own_generation()
        return shared_generation(data_dir / "generation", self.number, self.count)


ALONE = Worker()
"""The only process of its engine."""
