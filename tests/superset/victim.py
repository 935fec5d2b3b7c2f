"""A process that reviews a dashboard of Superset to its launch, and that ends itself at a given point.

Points are the beginnings and ends of write transactions, and of calls of Superset: so it dies between a call and its
answer too. Its trace says what each point was.
"""

from __future__ import annotations

import os
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from sagitta_server.app import Engine
from sagitta_server.reviews.enums import LaunchStatus, SourceKind
from sagitta_server.reviews.service import ReviewService
from sagitta_server.reviews.superset.client import SupersetClient
from server.reviews.victim import DEADLINE_S, KILLED, _step
from server.reviews.world import ALICE, settings
from sqlalchemy import event

SECRETS = {"SUPERSET_ADMIN_USER": "admin", "SUPERSET_ADMIN_PASSWORD": "admin"}
TRACE = "trace.txt"


class Points:
    """Counts points, keeps their names, and ends the process at one of them."""

    def __init__(self, deadly: int, trace: Path) -> None:
        self._deadly = deadly
        self._trace = trace
        self._count = 0

    def pass_by(self, name: str) -> None:
        self._count += 1
        with self._trace.open("a") as file:
            file.write(f"{name}\n")
        if self._count == self._deadly:
            os._exit(KILLED)


def run(folder: Path, base_url: str, link: str, point: int) -> None:
    """Reviews to the end, or ends the process at a point; point 0 is never reached."""
    os.environ.update(SECRETS)
    environment = {
        "base_url": base_url,
        "username_env": "SUPERSET_ADMIN_USER",
        "password_env": "SUPERSET_ADMIN_PASSWORD",
    }
    state = f"sqlite:///{folder}/state.db"
    engine = Engine(settings(folder, state, workers=1, lease_s=1.0, environments={"bi": environment}))
    _arm(engine, Points(point, folder / TRACE))
    engine.models.curated.start()
    engine.reviews.start()
    try:
        _review(engine.reviews.service, link)
    finally:
        engine.stop()


def _arm(engine: Engine, points: Points) -> None:
    def tick(name: str) -> Any:
        def passed(connection: Any) -> None:
            if connection.get_execution_options().get("sagitta_write"):
                points.pass_by(name)

        return passed

    for name in ("begin", "commit"):
        event.listen(engine.database.engine, name, tick(name))
    send = SupersetClient._send

    def watched(client: SupersetClient, method: str, path: str, *rest: Any) -> Any:
        points.pass_by(f"call {method} {path}")
        answer = send(client, method, path, *rest)
        points.pass_by(f"answer {method} {path}")
        return answer

    SupersetClient._send = watched  # type: ignore[method-assign]


def _review(service: ReviewService, link: str) -> None:
    started = service.start_session(ALICE, SourceKind.SUPERSET_LINK, link, "bi", key="start")
    session_id = started.review.session_id
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        review = service.get_session(ALICE, session_id)
        if review.run is not None and review.run.launch_status is not LaunchStatus.STARTED:
            return
        _step(service, review)
        time.sleep(0.02)
    raise TimeoutError(f"still {review.session.readiness_state} with task {review.session.active_task_id}")


def serve() -> None:
    """Runs a fresh process for every line of standard input, and says how each ended."""
    for line in sys.stdin:
        folder, base_url, link, point = line.split()
        child = os.fork()
        if child == 0:
            code = 1
            try:
                run(Path(folder), base_url, link, int(point))
                code = 0
            except BaseException:  # noqa: BLE001 - told to the parent
                traceback.print_exc()
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    serve()
