"""How tests are shared among the processes of pytest-xdist."""

from __future__ import annotations

from xdist.scheduler import LoadGroupScheduling
from xdist.workermanage import WorkerController


class SurvivingScheduling(LoadGroupScheduling):  # type: ignore[misc]
    """Shares tests as `--dist loadgroup` does, and ends also when a process of the tests died.

    pytest-xdist 3.8 queues everything again that the dead process was ever given. Groups that it had finished are empty
    work: who gets one has nothing new to run and never asks for more, so that the whole run waits for ever.
    """

    def remove_node(self, node: WorkerController) -> str | None:
        """Takes a process out; what it had not finished goes to the others. Returns the test it died in, if any."""
        given = self.assigned_work[node]
        self.assigned_work[node] = {group: tests for group, tests in given.items() if not all(tests.values())}
        crashed: str | None = super().remove_node(node)
        return crashed
