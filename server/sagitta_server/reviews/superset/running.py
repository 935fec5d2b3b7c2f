"""Runs a previewed text in SQL Lab, once: a run that an earlier process began is found again and adopted.

Each run has a `client_id` made of its id, which Superset keeps unique, and its id in a leading comment, by which it is
looked up. So sending it twice runs it once, whoever was interrupted when.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import replace
from urllib.parse import urlencode

from sagitta_server.reviews.environment import RunOutcome, RunRequest, RunStart
from sagitta_server.reviews.json_text import Json
from sagitta_server.reviews.sql_safety import normalized
from sagitta_server.reviews.superset.client import SupersetClient, SupersetError, results_of
from sagitta_server.reviews.superset.datasets import Payload, integer, payload_of, text
from sagitta_server.reviews.superset.wrapping import unrendered

CANCELLED = "The run was cancelled."
_MAX_LINK = 6000
_LOOK_S = 0.25
_GOODBYE_S = 5.0
_ENDED = frozenset({"success", "failed", "stopped", "timed_out"})
_UNSENT = frozenset({"superset_auth_failed", "superset_forbidden", "not_found"})


def client_id(run_context_id: str) -> str:
    """What makes a run unique in Superset: 11 hexadecimal digits of its id's digest."""
    return hashlib.sha256(run_context_id.encode()).hexdigest()[:11]


class Runner:
    """Runs texts; may be called from any thread."""

    def __init__(self, client: SupersetClient, launch_timeout_s: float) -> None:
        self._client = client
        self._timeout_s = launch_timeout_s

    def prepare(self, request: RunRequest) -> RunStart:
        """Where the run can be looked at: a permalink of its text, which any user of SQL Lab can open."""
        payload, root = payload_of(request.dataset), f"{self._client.base_url}/sqllab/"
        ref = f"sqllab:client:{client_id(request.run_context_id)}"
        name = f"review {request.dataset.name} {request.run_context_id[:8]}"
        shown = unrendered(request.sql)
        body: dict[str, Json] = {
            "dbId": payload.database_id,
            "name": name,
            "schema": payload.schema,
            "catalog": payload.catalog,
            "sql": shown,
            "autorun": False,
            "templateParams": "{}",
        }
        try:
            answer = self._client.post("/api/v1/sqllab/permalink", body)
        except SupersetError as error:
            if error.status == 404:  # before 5.0
                return RunStart(ref, _link_with_text(root, payload, name, shown))
            return RunStart(ref, root, error=f"Nothing was sent: {error.message}")
        key = text(answer.get("key")) if isinstance(answer, dict) else None
        return RunStart(ref, f"{self._client.base_url}/sqllab/p/{key}/" if key else root)

    def run(self, request: RunRequest, *, first: bool, cancelled: Callable[[], bool]) -> RunOutcome:
        """Runs the text to its end, or adopts the run that was already sent."""
        if not first:
            try:
                known = self._look_up(request)
            except SupersetError as error:
                return RunOutcome(error=error.message, outcome_unknown=True)
            if known is not None:
                return self._adopt(request, cancelled)
            if request.age_s > self._timeout_s:
                message = "The service was interrupted, and Superset knows nothing of the run."
                return RunOutcome(error=message, outcome_unknown=True)
        sending = _Sending(lambda: self._send(request))
        while not sending.wait(_LOOK_S):
            if cancelled():
                self._stop(request)
                sending.wait(_GOODBYE_S)
                return RunOutcome(error=CANCELLED)
        return self._answered(request, sending, cancelled)

    def _send(self, request: RunRequest) -> Json:
        payload = payload_of(request.dataset)
        comment = f"/* dataset-review run {request.run_context_id} */\n"
        body: dict[str, Json] = {
            "database_id": payload.database_id,
            "schema": payload.schema,
            "catalog": payload.catalog,
            "sql": comment + unrendered(request.sql),
            "client_id": client_id(request.run_context_id),
            "queryLimit": request.row_limit,
            "runAsync": False,
            "select_as_cta": False,
            "ctas_method": "TABLE",
            "tmp_table_name": "",
            "expand_data": False,
            "templateParams": "{}",
            "tab": f"review {request.dataset.name} {request.run_context_id[:8]}",
        }
        return self._client.post("/api/v1/sqllab/execute/", body, timeout_s=self._timeout_s)

    def _answered(self, request: RunRequest, sending: _Sending, cancelled: Callable[[], bool]) -> RunOutcome:
        try:
            answer = sending.result()
        except SupersetError as error:
            if error.code in _UNSENT:
                return RunOutcome(error=error.message)
            if _is_repeated(error) or error.status is None or error.code == "superset_unreachable":
                return self._adopt(request, cancelled, error.message)
            return replace(self._adopted_or_none(request) or RunOutcome(), error=error.message)
        query = answer.get("query") if isinstance(answer, dict) else None
        if not isinstance(query, dict):
            return self._adopt(request, cancelled, "Superset's answer has an unknown shape.")
        if query.get("state") not in _ENDED:  # a database that runs everything in the background
            return self._adopt(request, cancelled)
        return self._outcome(
            request,
            status=str(query.get("state")),
            query_id=integer(query.get("queryId")),
            rows=integer(query.get("rows")),
            executed=text(query.get("executedSql")),
            error=text(query.get("errorMessage")),
        )

    def _adopt(self, request: RunRequest, cancelled: Callable[[], bool], reason: str = "") -> RunOutcome:
        """Waits for the end of the run that Superset already has."""
        deadline = time.monotonic() + self._timeout_s
        missed = 0
        while time.monotonic() < deadline:
            if cancelled():
                self._stop(request)
                return RunOutcome(error=CANCELLED)
            try:
                row = self._look_up(request)
            except SupersetError as error:
                return RunOutcome(error=error.message, outcome_unknown=True)
            if row is not None and row.get("status") in _ENDED:
                return self._outcome_of(request, row)
            missed += row is None
            if missed > 8:
                break
            time.sleep(_LOOK_S)
        return RunOutcome(error=reason or "What became of the run is unknown.", outcome_unknown=True)

    def _adopted_or_none(self, request: RunRequest) -> RunOutcome | None:
        """What Superset keeps of a run whose failure it has just told."""
        try:
            row = self._look_up(request)
        except SupersetError:
            return None  # the failure itself is known; only its number in Superset is not
        return None if row is None else self._outcome_of(request, row)

    def _look_up(self, request: RunRequest) -> dict[str, Json] | None:
        query = (
            f"(filters:!((col:sql,opr:ct,value:'{request.run_context_id}')),"
            "columns:!(id,status,sql,executed_sql,rows,error_message),order_column:changed_on,order_direction:asc)"
        )
        try:
            rows = results_of(self._client.get("/api/v1/query/", {"q": query}))
        except SupersetError as error:
            if error.status != 400:
                raise
            plain = query.replace(",error_message", "").replace(",order_column:changed_on,order_direction:asc", "")
            rows = results_of(self._client.get("/api/v1/query/", {"q": plain}))
        return rows[0] if rows else None

    def _outcome_of(self, request: RunRequest, row: Mapping[str, Json]) -> RunOutcome:
        return self._outcome(
            request,
            status=str(row.get("status")),
            query_id=integer(row.get("id")),
            rows=integer(row.get("rows")),
            executed=text(row.get("executed_sql")),
            error=text(row.get("error_message")),
        )

    def _outcome(
        self,
        request: RunRequest,
        *,
        status: str,
        query_id: int | None,
        rows: int | None,
        executed: str | None,
        error: str | None,
    ) -> RunOutcome:
        succeeded = status == "success"
        link = None if query_id is None else f"{self._client.base_url}/sqllab/?queryId={query_id}"
        return RunOutcome(
            error=None if succeeded else error or f"Superset ended the run as {status}.",
            row_count=rows if succeeded else None,
            truncated=succeeded and rows is not None and rows >= request.row_limit,
            executed_sql=executed,
            diverged=executed is not None and _differs(executed, request),
            sql_lab_session_ref=None if query_id is None else f"sqllab:query:{query_id}",
            redirect_url=link if _needs_link(self._client.base_url, request) else None,
        )

    def _stop(self, request: RunRequest) -> None:
        try:
            self._client.post("/api/v1/query/stop", {"client_id": client_id(request.run_context_id)})
        except SupersetError:
            return  # it has ended, or the database cannot stop it


class _Sending:
    """A call that goes on in a thread of its own, so that a cancelled run need not wait for it."""

    def __init__(self, call: Callable[[], Json]) -> None:
        self._future: Future[Json] = Future()
        self._call = call
        threading.Thread(target=self._perform, name="superset-run", daemon=True).start()

    def _perform(self) -> None:
        try:
            self._future.set_result(self._call())
        except BaseException as error:  # noqa: BLE001 - told to who waits
            self._future.set_exception(error)

    def wait(self, seconds: float) -> bool:
        """Whether it has ended."""
        try:
            self._future.exception(timeout=seconds)
        except TimeoutError:
            return False
        return True

    def result(self) -> Json:
        return self._future.result()


def _differs(executed: str, request: RunRequest) -> bool:
    return normalized(executed, request.dialect) != normalized(request.sql, request.dialect)


def _is_repeated(error: SupersetError) -> bool:
    """The run was sent before: its `client_id` is taken."""
    said = error.message.lower()
    return "client_id" in said and ("unique" in said or "duplicate" in said)


def _needs_link(base_url: str, request: RunRequest) -> bool:
    """The text was too long for a link, and the version has no permalinks."""
    return request.redirect_url == f"{base_url}/sqllab/"


def _link_with_text(root: str, payload: Payload, name: str, sql: str) -> str:
    fields = {"dbid": payload.database_id, "schema": payload.schema or "", "name": name, "sql": sql}
    link = f"{root}?{urlencode(fields)}"
    return link if len(link) <= _MAX_LINK else root
