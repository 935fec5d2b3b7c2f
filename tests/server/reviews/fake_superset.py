"""A Superset on loopback that answers in the shapes of four versions, and fails on demand.

It knows two datasets on one database, renders their templates, compiles, and runs SQL on an SQLite of its own, so that
what a review sends has an effect. Trouble is told to it: slow, cut off, too large, HTML, any status.
"""

from __future__ import annotations

import json
import re
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jinja2
from jinja2.sandbox import SandboxedEnvironment

VERSIONS = ("4.1.4", "5.0.0", "6.0.0", "6.1.0")
USER, PASSWORD = "reviewer", "s3cret"
SQL = (
    "SELECT id, country, status, amount, order_ts FROM orders WHERE status = '{{ url_param('status', 'paid') }}'"
    "{% if filter_values('country') %} AND country IN {{ filter_values('country') | where_in }}{% endif %}"
    " AND amount >= {{ min_amount }}"
)
ORDERS = [(n, ("DE", "FR", "US")[n % 3], ("paid", "shipped")[n % 2], n * 1.5, "2024-01-01") for n in range(60)]


@dataclass
class Reply:
    """An answer as it goes over the wire."""

    status: int
    body: Any = None
    content: bytes | None = None
    """The raw bytes, instead of a JSON body."""
    media_type: str = "application/json"
    cookie: str = ""
    claimed_length: int | None = None
    """What the header says, where that is a lie."""
    seconds: float = 0.0
    """How long it takes."""


Trouble = Callable[[str, str], "Reply | None"]


@dataclass
class FakeSuperset:
    """What it holds, what it was asked, and how it misbehaves."""

    url: str
    version: str = "5.0.0"
    datasets: dict[int, dict[str, Any]] = field(default_factory=dict)
    queries: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: list[tuple[str, str, Any]] = field(default_factory=list)
    """Method, path and decoded body of every request."""
    trouble: Trouble = lambda _method, _path: None
    """Answers instead of the usual, when it answers at all."""
    launchable: bool = True
    owned: bool = True
    """The service account owns the datasets."""
    tokens: set[str] = field(default_factory=set)
    csrf: dict[str, str] = field(default_factory=dict)
    logins: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def major(self) -> tuple[int, int]:
        major, minor, _ = self.version.split(".")
        return int(major), int(minor)

    def count(self, method: str, path: str) -> int:
        """How often a path was asked."""
        return sum(1 for m, p, _ in self.asked if (m, p) == (method, path))

    def forget_tokens(self) -> None:
        """Every access token has expired."""
        self.tokens.clear()

    def forget_csrf(self) -> None:
        """Every CSRF token has expired; access tokens go on."""
        self.csrf.clear()

    def add_dataset(self, number: int, name: str, sql: str | None, **more: Any) -> dict[str, Any]:
        """A dataset with four labelled or bare columns and a metric."""
        columns = [
            ("id", 0, None, None),
            ("country", 1, "Country", "Where the buyer lives"),
            ("status", 1, None, None),
            ("amount", 0, None, None),
            ("order_ts", 2, None, None),
        ]
        held = {
            "id": number,
            "uid": f"{number}__table",
            "table_name": name,
            "schema": "main",
            "catalog": None,
            "kind": "virtual" if sql else "physical",
            "is_sqllab_view": False,
            "sql": sql,
            "template_params": json.dumps({"min_amount": 5}) if sql and "min_amount" in sql else None,
            "main_dttm_col": "order_ts",
            "description": None,
            "extra": None,
            "fetch_values_predicate": None,
            "database": {"id": 1, "database_name": "shop", "backend": "sqlite"},
            "owners": [{"id": 1}],
            "changed_on": "2026-01-01T00:00:00",
            "columns": [
                {
                    "id": number * 100 + place,
                    "uuid": f"00000000-0000-0000-0000-{number * 100 + place:012d}",
                    "column_name": column,
                    "type": "TEXT",
                    "type_generic": generic,
                    "is_dttm": generic == 2,
                    "verbose_name": label,
                    "description": text,
                    "expression": None,
                    "filterable": True,
                    "groupby": True,
                    "is_active": True,
                    "extra": "{}",
                    "python_date_format": None,
                    "advanced_data_type": None,
                    "changed_on": "2026-01-01T00:00:00",
                }
                for place, (column, generic, label, text) in enumerate(columns)
            ],
            "metrics": [
                {
                    "id": number * 100 + 90,
                    "metric_name": "revenue",
                    "metric_type": None,
                    "expression": "SUM(amount)",
                    "verbose_name": None,
                    "description": None,
                    "d3format": None,
                    "currency": None,
                    "warning_text": None,
                    "extra": "{}",
                    "changed_on": "2026-01-01T00:00:00",
                }
            ],
            **more,
        }
        self.datasets[number] = held
        return held

    def touch(self, number: int) -> None:
        """Somebody else changes a dataset."""
        self.datasets[number]["changed_on"] = f"2026-02-{len(self.asked) % 27 + 1:02d}T{secrets.token_hex(2)}"

    def answer(self, method: str, path: str, query: dict[str, str], headers: dict[str, str], body: Any) -> Reply:
        """What this version says."""
        if (found := self.trouble(method, path)) is not None:
            return found
        if path == "/health":
            return Reply(200, content=b"OK", media_type="text/plain")
        if path.startswith("/api/v1/security/"):
            return self._security(path, headers, body)
        token = headers.get("authorization", "").removeprefix("Bearer ")
        if not token:
            return Reply(401, {"msg": "Missing Authorization Header"})
        if token not in self.tokens:
            return Reply(401, {"msg": "Token has expired"})
        if method != "GET" and path != "/api/v1/chart/data" and not self._has_csrf(headers, token):
            message = "400 Bad Request: The CSRF token is missing."
            return Reply(400, {"errors": [{"message": message, "error_type": "GENERIC_BACKEND_ERROR"}]})
        return self._route(method, path, query, body)

    def _security(self, path: str, headers: dict[str, str], body: Any) -> Reply:
        match path.removeprefix("/api/v1/security/"):
            case "login":
                self.logins += 1
                if (body.get("username"), body.get("password")) != (USER, PASSWORD):
                    return Reply(401, {"message": "Not authorized"})
                return Reply(200, {"access_token": self._token(), "refresh_token": "refresh"})
            case "refresh":
                if headers.get("authorization") != "Bearer refresh":
                    return Reply(422, {"msg": "Invalid header padding"})
                return Reply(200, {"access_token": self._token()})
            case "csrf_token/":
                token = headers.get("authorization", "").removeprefix("Bearer ")
                if token not in self.tokens:
                    return Reply(401, {"msg": "Token has expired"})
                session, csrf = secrets.token_hex(8), secrets.token_hex(8)
                self.csrf[session] = csrf
                return Reply(200, {"result": csrf}, cookie=f"session={session}; Path=/")
        return _not_found()

    def _token(self) -> str:
        token = secrets.token_hex(16)
        self.tokens.add(token)
        return token

    def _has_csrf(self, headers: dict[str, str], _token: str) -> bool:
        session = re.search(r"session=(\w+)", headers.get("cookie", ""))
        held = self.csrf.get(session[1]) if session else None
        return held is not None and headers.get("x-csrftoken") == held and bool(headers.get("referer"))

    def _route(self, method: str, path: str, query: dict[str, str], body: Any) -> Reply:
        number = int(found[0]) if (found := re.findall(r"/(\d+)$", path)) else 0
        match method, re.sub(r"/\d+$", "/N", path.removeprefix("/api/v1")):
            case "GET", "/dataset/N":
                held = self.datasets.get(number)
                return Reply(404, {"message": "Not found"}) if held is None else Reply(200, {"result": held})
            case "PUT", "/dataset/N":
                return self._write(number, body)
            case "GET", "/dataset/":
                return Reply(200, {"count": len(self.datasets), "result": list(self.datasets.values())})
            case "GET", "/explore/":
                held = self.datasets.get(int(query.get("datasource_id", 0)))
                known = {"id": held["id"]} if held else {"name": "[Missing Dataset]"}
                return Reply(200, {"result": {"dataset": known, "form_data": {}, "slice": None}})
            case "GET", "/database/N":
                return Reply(200, {"result": self._database()})
            case "GET", "/database/":
                return Reply(200, {"count": 1, "result": [self._database()]})
            case "POST", "/chart/data":
                return self._chart_data(body)
            case "POST", "/sqllab/format_sql/":
                return self._format(query, body)
            case "POST", "/sqllab/permalink" if self.major >= (5, 0):
                key = secrets.token_urlsafe(8)
                return Reply(201, {"key": key, "url": f"{self.url}/sqllab/p/{key}/"})
            case "POST", "/sqllab/execute/":
                return self._execute(body)
            case "GET", "/query/":
                wanted = re.search(r"value:'([^']+)'", query.get("q", ""))
                rows = [r for r in self.queries.values() if wanted and wanted[1] in r["sql"]]
                return Reply(200, {"count": len(rows), "result": rows})
            case "POST", "/query/stop":
                known = body.get("client_id") in self.queries
                return Reply(200, {"result": "OK"}) if known else Reply(404, {"message": "Not found"})
        return _not_found()

    def _database(self) -> dict[str, Any]:
        return {
            "id": 1,
            "database_name": "shop",
            "backend": "sqlite",
            "expose_in_sqllab": self.launchable,
            "allow_dml": False,
            "allow_run_async": False,
        }

    def _write(self, number: int, body: dict[str, Any]) -> Reply:
        """As Superset does it: a list replaces the stored one, and what is left out of it is gone."""
        held = self.datasets.get(number)
        if held is None:
            return Reply(404, {"message": "Not found"})
        if not self.owned:
            return Reply(403, {"message": "Forbidden"})
        for listed, name, accepted in (("columns", "column_name", _COLUMN), ("metrics", "metric_name", _METRIC)):
            for item in body.get(listed, ()):
                if name not in item or set(item) - accepted:
                    unknown = sorted(set(item) - accepted) or [name]
                    error = {"message": f"Invalid: {unknown}", "error_type": "MARSHMALLOW_ERROR"}
                    return Reply(422, {"errors": [error]})
        for listed in ("columns", "metrics"):
            if listed in body:
                stored = {item["id"]: item for item in held[listed]}
                held[listed] = [{**stored.get(item.get("id"), {"id": 9000}), **item} for item in body[listed]]
        if "description" in body:
            held["description"] = body["description"]
        self.touch(number)
        return Reply(200, {"id": number, "result": body})

    def _chart_data(self, body: dict[str, Any]) -> Reply:
        held = self.datasets.get(body["datasource"]["id"])
        if held is None:
            return Reply(404, {"message": "Not found"})
        wanted = body["queries"][0]
        try:
            inner = self._inner(held, wanted.get("filters", ()), wanted.get("url_params", {}))
        except jinja2.TemplateError as error:
            message = f"Error while rendering virtual dataset query: {error}"
            if self.major >= (6, 1):
                return Reply(200, {"result": [{"error": message, "language": "sql"}]})
            return Reply(400, {"message": f"Error: {message}"})
        columns = ", ".join(wanted["columns"])
        where = self._outer(held, wanted.get("filters", ()), wanted.get("extras", {}).get("where", ""))
        text = f"SELECT {columns} FROM {inner}{where} LIMIT {wanted['row_limit']}"
        if body.get("result_type") == "full":
            rows, names = self._run(text.replace("main.orders", "orders"), wanted["row_limit"])
            data = [dict(zip(names, values, strict=True)) for values in rows]
            return Reply(200, {"result": [{"language": "sql", "query": text, "data": data, "rowcount": len(data)}]})
        return Reply(200, {"result": [{"language": "sql", "query": text}]})

    def _inner(self, held: dict[str, Any], filters: Any, url_params: dict[str, str]) -> str:
        if not held["sql"]:
            return f"{held['schema']}.{held['table_name']}"
        params = json.loads(held["template_params"] or "{}")
        return f"({self.render(held['sql'], params, filters, url_params)}) AS virtual_table"

    @staticmethod
    def _outer(held: dict[str, Any], filters: Any, where: str) -> str:
        names = {c["column_name"] for c in held["columns"]}
        parts = [_predicate(f) for f in filters if f["col"] in names and f["op"] != "TEMPORAL_RANGE"]
        parts += [where] if where else []
        return f" WHERE {' AND '.join(parts)}" if parts else ""

    def render(self, text: str, params: dict[str, Any], filters: Any, url_params: dict[str, str]) -> str:
        """A template as this version renders it; a name that nothing binds is no error."""
        known = {f["col"]: f.get("val") for f in filters}

        def filter_values(name: str, default: Any = None) -> list[Any]:
            value = known.get(name)
            listed = value if isinstance(value, list) else [] if value is None else [value]
            return listed or ([default] if default is not None else [])

        def url_param(name: str, default: str = "") -> str:
            return str(url_params[name]).replace("'", "''") if name in url_params else default

        environment = SandboxedEnvironment(undefined=_Odd if self.major == (6, 0) else jinja2.DebugUndefined)
        environment.filters["where_in"] = lambda items: f"({', '.join(map(_literal, items))})"
        names = {"filter_values": filter_values, "url_param": url_param, **params}
        return environment.from_string(text).render(names)

    def _format(self, query: dict[str, str], body: dict[str, Any]) -> Reply:
        if self.major < (6, 1) and "template_params" in body:
            return Reply(400, {"message": {"template_params": ["Unknown field."]}})
        form = json.loads(query.get("form_data", "{}"))
        filters = [{"col": f["subject"], "val": f["comparator"]} for f in form.get("adhoc_filters", ())]
        params = json.loads(body.get("template_params") or "{}")
        try:
            text = self.render(body["sql"], params, filters, form.get("url_params", {}))
        except jinja2.TemplateError as error:
            return Reply(400, {"message": f"Error: {error}"})
        return Reply(200, {"result": text})

    def _execute(self, body: dict[str, Any]) -> Reply:
        if body["client_id"] in self.queries:
            message = "(sqlite3.IntegrityError) UNIQUE constraint failed: query.client_id"
            return Reply(500, {"errors": [{"message": message, "error_type": "GENERIC_BACKEND_ERROR"}]})
        params = json.loads(body.get("templateParams") or "{}")
        filters = params.pop("_filters", [])
        row = {
            "id": len(self.queries) + 1,
            "sql": body["sql"],
            "executed_sql": None,
            "rows": None,
            "status": "running",
            "error_message": None,
        }
        self.queries[body["client_id"]] = row
        try:
            rendered = self.render(body["sql"], params, filters, {})
            missing = re.findall(r"\{\{\s*(\w+)\s*\}\}", rendered)
            if missing:
                return self._failed(row, f"Missing: {', '.join(missing)}", "MISSING_TEMPLATE_PARAMS_ERROR")
            rows, columns = self._run(rendered, body["queryLimit"])
        except (sqlite3.Error, jinja2.TemplateError) as error:
            return self._failed(row, str(error), "GENERIC_DB_ENGINE_ERROR")
        row.update(status="success", executed_sql=rendered, rows=len(rows))
        query = {
            "id": body["client_id"],
            "queryId": row["id"],
            "state": "success",
            "sql": body["sql"],
            "executedSql": rendered,
            "rows": len(rows),
            "limit": body["queryLimit"],
        }
        listed = [{"column_name": name, "type": "STRING", "is_dttm": False} for name in columns]
        data = [dict(zip(columns, values, strict=True)) for values in rows]
        return Reply(200, {"query_id": row["id"], "status": "success", "data": data, "columns": listed, "query": query})

    @staticmethod
    def _failed(row: dict[str, Any], message: str, kind: str) -> Reply:
        row.update(status="failed", error_message=message)
        return Reply(500, {"errors": [{"message": message, "error_type": kind, "level": "error", "extra": {}}]})

    def _run(self, text: str, limit: int) -> tuple[list[tuple[Any, ...]], list[str]]:
        """The first rows; since 6.0 a LIMIT in the text counts for nothing beside the limit that is sent."""
        if self.major >= (6, 0):
            text = re.sub(r"\sLIMIT \d+\s*$", "", text)
        with closing(sqlite3.connect(":memory:")) as connection:
            connection.execute("CREATE TABLE orders (id, country, status, amount, order_ts)")
            connection.executemany("INSERT INTO orders VALUES (?, ?, ?, ?, ?)", ORDERS)
            cursor = connection.execute(text)
            return cursor.fetchmany(limit), [d[0] for d in cursor.description]


_BOTH = frozenset({"id", "uuid", "verbose_name", "description", "expression", "extra"})
_COLUMN = _BOTH | {"column_name", "type", "advanced_data_type", "filterable", "groupby", "is_active", "is_dttm"}
_COLUMN |= {"python_date_format"}
_METRIC = _BOTH | {"metric_name", "metric_type", "d3format", "currency", "warning_text"}


class _Odd(jinja2.Undefined):
    """What 6.0 makes of a name that nothing binds."""

    def __str__(self) -> str:
        return f"{{'_0': {{'_0': {self._undefined_name}}}}}"


def _predicate(item: dict[str, Any]) -> str:
    value = item.get("val")
    match item["op"]:
        case "IN" | "NOT IN":
            return f"{item['col']} {item['op']} ({', '.join(map(_literal, value))})"
        case "IS NULL" | "IS NOT NULL":
            return f"{item['col']} {item['op']}"
        case "==":
            return f"{item['col']} = {_literal(value)}"
        case operator:
            return f"{item['col']} {operator} {_literal(value)}"


def _literal(value: Any) -> str:
    return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else str(value)


def _not_found() -> Reply:
    return Reply(404, content=b"<html>Not found</html>", media_type="text/html")


@contextmanager
def fake_superset(version: str = "5.0.0") -> Iterator[FakeSuperset]:
    """A running fake with the datasets 1 (virtual, with a template) and 2 (a table)."""
    holder: list[FakeSuperset] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            raw = self.rfile.read(length) if length else b""
            body = json.loads(raw) if raw else None
            parts = urlsplit(self.path)
            fake = holder[0]
            with fake.lock:
                fake.asked.append((self.command, parts.path, body))
                query = {k: v[0] for k, v in parse_qs(parts.query).items()}
                headers = {k.lower(): v for k, v in self.headers.items()}
                reply = fake.answer(self.command, parts.path, query, headers, body)
            time.sleep(reply.seconds)
            self.send(reply)

        def send(self, reply: Reply) -> None:
            content = reply.content if reply.content is not None else json.dumps(reply.body).encode()
            try:
                self.send_response(reply.status)
                self.send_header("Content-Type", reply.media_type)
                claimed = reply.claimed_length
                self.send_header("Content-Length", str(len(content) if claimed is None else claimed))
                if reply.cookie:
                    self.send_header("Set-Cookie", reply.cookie)
                self.end_headers()
                self.wfile.write(content)
            except (BrokenPipeError, ConnectionResetError):
                pass  # the client gave up, as it should
            if reply.claimed_length is not None:
                self.close_connection = True

        do_GET = do_POST = do_PUT = handle_any  # noqa: N815 (the names are the base class's)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    fake = FakeSuperset(f"http://127.0.0.1:{server.server_port}", version)
    fake.add_dataset(1, "v_orders", SQL)
    fake.add_dataset(2, "orders", None)
    holder.append(fake)
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
