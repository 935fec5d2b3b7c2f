"""A whole review over HTTP, from the start to the rows; every answer is valid under the contract as given."""

import base64
import io

import adbc_driver_flightsql.dbapi
import httpx
import pyarrow as pa
import pyarrow.csv
import pytest
from gateway.reviews.conftest import detail, query, start, started
from pyarrow import flight


def ready(client: httpx.Client) -> tuple[str, dict]:
    """A session whose preview is ready and whose mapping is approved."""
    session = started(client, query({"firstDay": "2024-01-01"}))
    mapping = detail(client, session)["mappings"][0]
    assert client.post(f"{session}/mappings/{mapping['mapping_id']}/approve").status_code == 200
    preview = client.post(f"{session}/preview")
    assert preview.json()["preview_status"] == "ready", preview.text
    return session, preview.json()


def test_from_start_to_rows(alice):
    answer = start(alice, query({"firstDay": "2024-01-01"}))
    assert answer.status_code == 201
    summary = answer.json()
    session = f"/sessions/{summary['session_id']}"
    assert answer.headers["location"].endswith(session)
    assert (summary["readiness_state"], summary["recommended_action"]) == ("review_ready", "review_documentation")
    assert alice.get(f"{session}/exports/documentation").json()["format"] == "json"
    assert detail(alice, session)["session"]["readiness_state"] == "mapping_review_needed"
    mapping = alice.get(f"{session}/mappings").json()["items"][0]
    assert (mapping["mapping_method"], mapping["warning_level"], mapping["approval_state"]) == (
        "heuristic_match",
        "medium",
        "pending",
    )
    preview = alice.post(f"{session}/preview").json()
    assert preview["preview_status"] == "ready"
    assert preview["compiled_by"] == "superset"
    assert preview["compiler"] == {"kind": "local", "strategy": "local", "executed_rows": 0}
    assert detail(alice, session)["session"]["recommended_action"] == "approve_mapping"
    blocked = alice.post(f"{session}/launch")
    assert (blocked.status_code, blocked.json()["error_code"]) == (409, "mappings_unapproved")
    assert blocked.json()["details"]["blockers"][0]["refs"] == [mapping["mapping_id"]]
    approved = alice.post(f"{session}/mappings/{mapping['mapping_id']}/approve", json={"approval_note": "same thing"})
    assert (approved.json()["approval_state"], approved.json()["approved_by_user_id"]) == ("approved", "alice")
    assert detail(alice, session)["session"]["readiness_state"] == "run_ready"
    launched = alice.post(f"{session}/launch")
    assert launched.status_code == 201
    run = launched.json()["run_context"]
    assert (run["launch_status"], run["row_count"], run["executed_sql"]) == ("success", 2, preview["compiled_sql"])
    assert run["template_params"] == {"first_day": "2024-01-01"}
    done = detail(alice, session)
    assert (done["session"]["status"], done["session"]["readiness_state"]) == ("completed", "completed")
    assert done["latest_run_context"]["run_context_id"] == run["run_context_id"]


def test_the_rows_of_a_run_come_over_flight_adbc_and_http(alice, bob):
    session, _ = ready(alice)
    launched = alice.post(f"{session}/launch").json()
    run = launched["run_context"]
    access, token = run["flight"], alice.headers["authorization"]
    ticket = flight.Ticket(base64.b64decode(access["ticket"]))
    connection = flight.connect(access["endpoints"][0])
    options = flight.FlightCallOptions(headers=[(b"authorization", token.encode())])
    rows = connection.do_get(ticket, options).read_all()
    assert rows.to_pydict()["Status"] == ["open", "paid"]
    for header in (bob.headers["authorization"], "Bearer nonsense"):
        with pytest.raises(flight.FlightError):
            connection.do_get(
                ticket, flight.FlightCallOptions(headers=[(b"authorization", header.encode())])
            ).read_all()
    forged = flight.Ticket(base64.b64decode(access["ticket"])[:-1] + b"x")
    with pytest.raises(flight.FlightError, match="not a ticket"):
        connection.do_get(forged, options).read_all()
    schema = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(access["schema"])))
    assert schema.names == rows.schema.names
    endpoint = flight.FlightEndpoint(ticket, access["endpoints"])
    info = flight.FlightInfo(schema, flight.FlightDescriptor.for_command(b""), [endpoint], -1, -1)
    with (
        adbc_driver_flightsql.dbapi.connect(
            access["endpoints"][0], db_kwargs={"adbc.flight.sql.authorization_header": token}, autocommit=True
        ) as adbc,
        adbc.cursor() as cursor,
    ):
        cursor.adbc_read_partition(info.serialize())
        assert cursor.fetch_arrow_table().equals(rows)
    result = launched["redirect_url"].removeprefix("/api/dataset-orchestration")
    page = alice.get(result).json()
    assert (page["row_count"], page["has_next"], [row[0] for row in page["rows"]]) == (2, False, ["open", "paid"])
    assert alice.get(result, params={"offset": 1, "limit": 1}).json()["rows"] == page["rows"][1:]
    arrow = alice.get(result, headers={"Accept": "application/vnd.apache.arrow.stream"}).content
    assert pa.ipc.open_stream(arrow).read_all().equals(rows)
    rather = alice.get(result, headers={"Accept": "text/csv;q=0.5, application/json"})
    assert rather.headers["content-type"] == "application/json"
    text = alice.get(result, headers={"Accept": "text/csv"}).content
    assert pyarrow.csv.read_csv(io.BytesIO(text)).column("Status").to_pylist() == ["open", "paid"]
    assert bob.get(result).status_code == 403


def test_a_required_value_is_asked_for_and_can_be_given_in_three_ways(alice):
    for way in ("patch", "answer", "params"):
        session = started(alice, query({"first_day": "2024-02-01"} if way == "params" else {}))
        before = detail(alice, session)
        if way != "params":
            refused = alice.post(f"{session}/preview")
            assert (refused.status_code, refused.json()["error_code"]) == (409, "required_values_missing")
            assert before["session"]["readiness_state"] == "review_ready"
            assert before["mappings"][0]["effective_value"] is None
        if way == "patch":
            changed = alice.patch(
                f"{session}/mappings/{before['mappings'][0]['mapping_id']}", json={"effective_value": "2024-02-01"}
            ).json()
            assert (changed["mapping_method"], changed["approval_state"]) == ("manual_override", "approved")
        if way == "answer":
            asked = alice.post(f"{session}/clarification/resume").json()["current_question"]
            assert asked["topic_ref"].startswith("variable:")
            answered = alice.post(
                f"{session}/clarification/answers",
                json={"question_id": asked["question_id"], "answer_kind": "custom", "answer_value": "2024-02-01"},
            ).json()
            settled = {f["code"]: f["resolution_state"] for f in answered["changed_findings"]}
            assert settled["REQUIRED_VALUE_MISSING"] == "resolved"
        assert ">= CAST('2024-02-01' AS DATE)" in alice.post(f"{session}/preview").json()["compiled_sql"]


def test_a_value_is_a_literal_whatever_it_holds(alice):
    source = query({"s": "a'b; DROP TABLE orders --"}, where=[{"field": "Status", "op": "=", "value": "{{ s }}"}])
    session = started(alice, source)
    assert "'a''b; DROP TABLE orders --'" in alice.post(f"{session}/preview").json()["compiled_sql"]
    assert alice.post(f"{session}/launch").json()["run_context"]["row_count"] == 0


def test_template_marks_in_a_value_run_as_text_and_free_names_block_the_launch(alice):
    where = [{"field": "Status", "op": "=", "value": "{{ s }}"}]
    session = started(alice, query({"s": "{{ 1+1 }}"}, where=where))
    assert "'{{ 1+1 }}'" in alice.post(f"{session}/preview").json()["compiled_sql"]
    assert alice.post(f"{session}/launch").json()["run_context"]["launch_status"] == "success"
    session = started(alice, query({"s": "{{ x }}"}, where=where))
    assert "'{{ x }}'" in alice.post(f"{session}/preview").json()["compiled_sql"]
    refused = alice.post(f"{session}/launch")
    assert (refused.status_code, refused.json()["error_code"]) == (409, "template_marks_in_sql")


def test_a_query_that_cannot_be_compiled_is_a_failed_preview(alice):
    session = started(alice, query(select={"dimensions": ["Nothing"], "measures": ["Revenue"]}, where=[]))
    preview = alice.post(f"{session}/preview")
    assert preview.status_code == 200
    body = preview.json()
    assert (body["preview_status"], body["error_code"]) == ("failed", "UNKNOWN_DIMENSION")
    assert "Nothing" in body["error_details"]
    assert alice.post(f"{session}/launch").json()["error_code"] == "preview_missing"


def test_the_preview_holds_until_a_value_changes(alice):
    session, preview = ready(alice)
    assert alice.post(f"{session}/preview").json()["preview_id"] == preview["preview_id"]
    forced = alice.post(f"{session}/preview", headers={"Cache-Control": "no-cache"}).json()
    assert forced["preview_id"] != preview["preview_id"]
    mapping = alice.get(f"{session}/mappings").json()["items"][0]["mapping_id"]
    alice.patch(f"{session}/mappings/{mapping}", json={"effective_value": "2024-03-01"})
    assert detail(alice, session)["preview"]["preview_status"] == "stale"
    blocked = alice.post(f"{session}/launch").json()
    assert blocked["error_code"] == "preview_stale"
    alice.patch(f"{session}/mappings/{mapping}", json={"effective_value": "2024-01-01"})
    assert detail(alice, session)["preview"]["preview_status"] == "ready"


def test_a_preview_and_a_launch_need_not_be_waited_for(alice):
    session = started(alice, "example:shop/paid")
    answer = alice.post(f"{session}/preview", headers={"Prefer": "respond-async"})
    assert answer.status_code == 202
    assert answer.json()["task_id"].startswith("task_")
    events = _events(alice, session, until="preview.ready")
    assert [e for e in events if e == "preview.pending"]
    answer = alice.post(f"{session}/launch", headers={"Prefer": "respond-async"})
    assert answer.json()["run_context"]["launch_status"] in {"started", "success"}
    assert "run.started" in _events(alice, session, until="run.finished")
    assert detail(alice, session)["session"]["status"] == "completed"


def _events(client, session, until, after=0):
    kinds = []
    with client.stream("GET", f"{session}/events", params={"after": after}) as stream:
        for line in stream.iter_lines():
            if line.startswith("event: "):
                kinds.append(line.removeprefix("event: "))
                if kinds[-1] == until:
                    return kinds
    return kinds


def test_events_are_replayed_and_end_with_the_session(alice, bob):
    session = started(alice)
    field = detail(alice, session)["semantic_fields"][0]["field_id"]
    alice.post(f"{session}/fields/{field}/lock")
    kinds = _events(alice, session, until="field.changed")
    assert kinds.count("recovery.step") == 10
    alice.delete(session)
    assert _events(alice, session, until=None)[-1] in {"session.archived", "session.changed"}
    for after in (0, 3):
        assert bob.get(f"{session}/events", params={"after": after}).status_code == 403
