"""Access, versions, idempotency, and the shape of what is refused."""

import json
import threading

import pytest
from gateway.reviews.conftest import detail, query, start, started

UNKNOWN = "/sessions/6f1f0c1e-0000-4000-8000-000000000000"


def operations(session: str, given: dict) -> list[tuple[str, str, dict | None]]:
    """Every operation on a session, with a body that is right."""
    field, mapping = given["semantic_fields"][0]["field_id"], given["mappings"][0]["mapping_id"]
    return [
        ("GET", session, None),
        ("PATCH", session, {"status": "paused"}),
        ("DELETE", session, None),
        ("POST", f"{session}/semantic-source", {"source_type": "ai_generated", "source_ref": "default"}),
        ("PATCH", f"{session}/fields/{field}/semantic", {"description": "x"}),
        ("POST", f"{session}/fields/{field}/lock", None),
        ("POST", f"{session}/fields/{field}/unlock", None),
        ("GET", f"{session}/clarification", None),
        ("POST", f"{session}/clarification/answers", {"question_id": "q", "answer_kind": "skipped"}),
        ("POST", f"{session}/clarification/resume", None),
        ("GET", f"{session}/mappings", None),
        ("PATCH", f"{session}/mappings/{mapping}", {"effective_value": "2024-01-01"}),
        ("POST", f"{session}/mappings/{mapping}/approve", None),
        ("POST", f"{session}/preview", None),
        ("POST", f"{session}/launch", None),
        ("GET", f"{session}/exports/documentation", None),
        ("GET", f"{session}/exports/validation", None),
        ("GET", f"{session}/events", None),
        ("GET", f"{session}/diff", None),
        ("GET", f"{session}/runs/x", None),
        ("POST", f"{session}/runs/x/cancel", None),
        ("GET", f"{session}/runs/x/result", None),
        ("GET", f"{session}/exports/artifacts/x", None),
    ]


@pytest.fixture(scope="module")
def mine(alice):
    session = started(alice, query())
    return session, detail(alice, session)


def send(client, method, path, body):
    return client.request(method, path, json=body) if body is not None else client.request(method, path)


def test_a_stranger_is_refused_everywhere_and_sees_nothing(mine, login):
    session, given = mine
    stranger = login("stranger")
    for method, path, body in operations(session, given):
        answer = send(stranger, method, path, body)
        assert (answer.status_code, answer.json()["error_code"]) == (403, "session_forbidden"), (method, path)
    assert stranger.get("/sessions").json() == {"items": [], "total": 0, "page": 1, "page_size": 20, "has_next": False}
    stranger.close()


def test_an_unknown_session_is_404_everywhere(mine, alice):
    session, given = mine
    for method, path, body in operations(session, given):
        answer = send(alice, method, path.replace(session, UNKNOWN), body)
        assert (answer.status_code, answer.json()["error_code"]) == (404, "session_not_found"), (method, path)


def test_a_missing_permission_is_told_before_existence(mine, login):
    session, given = mine
    reader = login("alice", "dataset:session:read")
    for method, path, body in operations(session, given):
        if method == "GET":
            continue
        answer = send(reader, method, path.replace(session, UNKNOWN), body)
        assert (answer.status_code, answer.json()["error_code"]) == (403, "permission_denied"), (method, path)
        assert answer.json()["details"]["required"]
    reader.close()
    manager = login("alice", "dataset:session:manage")
    assert manager.get(session).status_code == 403
    assert manager.post(f"{session}/launch").json()["details"]["required"] == [
        "dataset:execution:launch",
        "dataset:session:read",
    ]
    manager.close()


def test_without_a_token_nothing_is_said(mine, alice):
    session, given = mine
    for method, path, body in operations(session, given):
        answer = alice.request(method, path, json=body, headers={"Authorization": "Bearer nonsense"})
        assert answer.status_code == 401, (method, path)
        assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'


def test_a_stale_version_changes_nothing(alice):
    session = started(alice, query())
    before = alice.get(session)
    version = int(before.headers["x-session-version"])
    assert before.headers["etag"] == f'"v{version}"'
    field = before.json()["semantic_fields"][0]["field_id"]
    path, body = f"{session}/fields/{field}/semantic", {"description": "changed"}
    for headers in ({"If-Match": f'"v{version - 1}"'}, {"X-Session-Version": str(version + 7)}):
        answer = alice.patch(path, json=body, headers=headers)
        assert (answer.status_code, answer.json()["error_code"]) == (409, "session_version_conflict")
        assert answer.json()["details"]["actual"] == version
    assert alice.get(session).json() == before.json()
    assert alice.get(session, headers={"If-None-Match": f'"v{version}"'}).status_code == 304
    assert alice.patch(path, json=body, headers={"If-Match": "v7"}).json()["error_code"] == "invalid_version_header"
    assert alice.patch(path, json=body, headers={"If-Match": f'"v{version}"'}).status_code == 200
    assert alice.patch(path, json=body).status_code == 200
    assert int(alice.get(session).headers["x-session-version"]) > version


def test_a_key_repeats_nothing(alice):
    first = start(alice, query(), **{"Idempotency-Key": "start-1"})
    again = start(alice, query(), **{"Idempotency-Key": "start-1"})
    assert again.json()["session_id"] == first.json()["session_id"]
    assert again.headers["idempotent-replay"] == "true"
    other = start(alice, "model:shop", **{"Idempotency-Key": "start-1"})
    assert (other.status_code, other.json()["error_code"]) == (409, "idempotency_key_reused")
    session = started(alice, "example:shop/paid")
    alice.post(f"{session}/preview")
    runs = [alice.post(f"{session}/launch", headers={"Idempotency-Key": "run"}).json() for _ in range(2)]
    assert runs[0]["run_context"]["run_context_id"] == runs[1]["run_context"]["run_context_id"]


def test_the_same_act_twice_has_one_effect(alice):
    session = started(alice, query({"firstDay": "2024-01-01"}))
    given = detail(alice, session)
    mapping, field = given["mappings"][0]["mapping_id"], given["semantic_fields"][0]["field_id"]
    for path in (f"{session}/mappings/{mapping}/approve", f"{session}/fields/{field}/lock"):
        first = alice.post(path)
        again = alice.post(path)
        assert first.json() == again.json()
        assert first.headers["x-session-version"] == again.headers["x-session-version"]
    alice.post(f"{session}/clarification/resume")
    question = alice.get(f"{session}/clarification").json()["current_question"]
    answer = {"question_id": question["question_id"], "answer_kind": "skipped"}
    versions = {alice.post(f"{session}/clarification/answers", json=answer).headers["x-session-version"] for _ in "ab"}
    assert len(versions) == 1
    assert [alice.delete(session).status_code for _ in "ab"] == [204, 204]


def test_two_launches_at_once_are_one_run(alice, login):
    session = started(alice, "example:shop/paid")
    alice.post(f"{session}/preview")
    answers = []

    def launch():
        with login("alice") as client:
            answers.append(client.post(f"{session}/launch"))

    threads = [threading.Thread(target=launch) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    won = [a for a in answers if a.status_code == 201]
    lost = {a.json()["error_code"] for a in answers if a.status_code == 409}
    assert len(won) == 1
    assert lost <= {"launch_in_progress", "session_not_active", "launch_blocked", "session_version_conflict"}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "body.source_kind"),
        ({"source_kind": "nothing", "source_input": "x", "environment_id": "local"}, "body.source_kind"),
        ({"source_kind": "dataset_selection", "source_input": "", "environment_id": "local"}, "body.source_input"),
        (
            {"source_kind": "dataset_selection", "source_input": "x" * 16385, "environment_id": "local"},
            "body.source_input",
        ),
        ({"source_kind": "dataset_selection", "source_input": 7, "environment_id": "local"}, "body.source_input"),
        ([], "body"),
    ],
)
def test_a_body_that_breaks_the_schema_names_the_field(alice, body, field):
    answer = alice.post("/sessions", json=body)
    assert answer.status_code == 422
    assert field in [item["field"] for item in answer.json()["errors"]]


@pytest.mark.parametrize(
    ("source", "status", "code"),
    [
        ("model:nothing", 404, "source_not_found"),
        ("example:shop/nothing", 404, "source_not_found"),
        ("table:main.nothing", 404, "source_not_found"),
        ("{", 400, "invalid_dataset_selection"),
        ('{"query": {}}', 400, "invalid_dataset_selection"),
        ('{"model": "shop", "query": {"select": 7}}', 400, "invalid_dataset_selection"),
        ("http://x/superset/dashboard/1/", 400, "invalid_dataset_selection"),
    ],
)
def test_a_source_that_names_nothing_makes_no_session(login, source, status, code):
    with login("nobody") as client:
        answer = start(client, source)
        assert (answer.status_code, answer.json()["error_code"]) == (status, code)
        assert client.get("/sessions").json()["total"] == 0


def test_links_of_superset_need_a_superset(alice):
    body = {
        "source_kind": "superset_link",
        "source_input": "http://bi/superset/dashboard/1/",
        "environment_id": "local",
    }
    assert alice.post("/sessions", json=body).json()["error_code"] == "source_kind_not_supported"
    body["environment_id"] = "production"
    assert alice.post("/sessions", json=body).json()["error_code"] == "environment_not_found"


def test_values_keep_every_digit(alice):
    big = "123456789012345678901234567890"
    where = [{"field": "Revenue", "op": ">", "value": "{{ least }}"}]
    source = query(where=[], having=where)
    session = started(alice, source)
    mapping = detail(alice, session)["mappings"][0]["mapping_id"]
    for text in (big, "0.10", "12345678901234567.123456789"):
        answer = alice.patch(
            f"{session}/mappings/{mapping}",
            content=f'{{"effective_value": {text}}}',
            headers={"Content-Type": "application/json"},
        )
        assert f'"effective_value":{text}' in answer.text


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "empty_update"),
        ({"effective_value": {"a": 1}}, "invalid_effective_value"),
        ({"effective_value": "1", "mapping_method": "direct_match"}, "value_requires_manual_override"),
        ({"mapping_method": "semantic_match"}, "mapping_method_not_applicable"),
        ({"unknown": 1}, "validation_error"),
    ],
)
def test_mapping_updates_are_refused_with_a_reason(mine, alice, body, code):
    session, given = mine
    answer = alice.patch(f"{session}/mappings/{given['mappings'][0]['mapping_id']}", json=body)
    assert (answer.status_code, answer.json()["error_code"]) == (400, code)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 400, "empty_update"),
        ({"lock_field": False}, 400, "empty_update"),
        ({"candidate_id": "x", "description": "y"}, 400, "ambiguous_field_update"),
        ({"candidate_id": "x"}, 404, "candidate_not_found"),
        ({"display_format": "x" * 129}, 400, "value_too_long"),
        ({"nothing": 1}, 400, "validation_error"),
    ],
)
def test_field_updates_are_refused_with_a_reason(mine, alice, body, status, code):
    session, given = mine
    answer = alice.patch(f"{session}/fields/{given['semantic_fields'][0]['field_id']}/semantic", json=body)
    assert (answer.status_code, answer.json()["error_code"]) == (status, code)


def test_statuses_follow_their_table(alice):
    session = started(alice)
    for status, expected in (
        ("paused", 200),
        ("paused", 200),
        ("active", 200),
        ("completed", 200),
        ("cancelled", 400),
        ("active", 200),
        ("cancelled", 200),
        ("active", 400),
        ("archived", 200),
        ("paused", 400),
        ("active", 200),
    ):
        answer = alice.patch(session, json={"status": status, "note": "because"})
        assert answer.status_code == expected, (status, answer.text)
        if expected == 400:
            assert set(answer.json()["details"]) == {"from", "to", "allowed"}
    alice.patch(session, json={"status": "paused"})
    assert alice.post(f"{session}/preview").json()["error_code"] == "session_not_active"
    assert alice.get(session).json()["session"]["recommended_action"] == "resume_session"


def test_a_removed_session_is_gone(alice):
    session = started(alice)
    assert alice.delete(session, params={"hard_delete": True}).status_code == 204
    assert alice.get(session).status_code == 404
    assert alice.delete(session, params={"hard_delete": True}).status_code == 404


def test_listing_pages_and_filters(login):
    with login("lister") as client:
        ids = [started(client).rsplit("/", 1)[1] for _ in range(3)]
        first = client.get("/sessions", params={"page_size": 2}).json()
        assert [i["session_id"] for i in first["items"]] == [ids[2], ids[1]]
        assert (first["total"], first["has_next"]) == (3, True)
        assert [
            i["session_id"] for i in client.get("/sessions", params={"page_size": 2, "page": 2}).json()["items"]
        ] == ids[:1]
        assert client.get("/sessions", params={"page": 9}).json()["items"] == []
        client.delete(f"/sessions/{ids[0]}")
        assert client.get("/sessions").json()["total"] == 2
        assert client.get("/sessions", params={"status": "archived"}).json()["total"] == 1
        assert client.get("/sessions", params={"readiness_state": "review_ready"}).json()["total"] == 2
        for bad in ({"page": 0}, {"page_size": 101}, {"status": "no"}, {"readiness_state": "no"}):
            assert client.get("/sessions", params=bad).status_code == 422


def test_environments_are_listed_and_checked(alice):
    assert alice.get("/environments").json()["environments"][0]["environment_id"] == "local"
    health = alice.get("/environments/local/health").json()
    assert (health["reachable"], health["features"]) == (True, ["preview", "launch"])
    assert alice.get("/environments/none/health").status_code == 404


def test_a_body_that_is_too_large_is_refused_in_the_contract_s_words(alice):
    answer = alice.post("/sessions", content=json.dumps({"x": "y" * 2_000_000}))
    assert (answer.status_code, answer.json()["error_code"]) == (413, "upload_too_large")


@pytest.mark.parametrize("text", ["\\u0000", "\\ud800", "a\\u0000b"])
def test_text_that_is_no_text_is_refused_wherever_it_comes(mine, alice, text):
    session, given = mine
    field, mapping = given["semantic_fields"][0]["field_id"], given["mappings"][0]["mapping_id"]
    source = f'{{"source_kind": "dataset_selection", "source_input": "{text}", "environment_id": "local"}}'
    note = f'{{"status": "active", "note": "{text}"}}'
    for method, path, body in (
        ("POST", "/sessions", source),
        ("PATCH", session, note),
        ("PATCH", f"{session}/fields/{field}/semantic", f'{{"resolution_note": "{text}"}}'),
        ("PATCH", f"{session}/mappings/{mapping}", f'{{"transformation_note": "{text}"}}'),
        ("POST", f"{session}/semantic-source", f'{{"source_type": "uploaded_file", "source_ref": "{text}"}}'),
    ):
        answer = alice.request(method, path, content=body, headers={"Content-Type": "application/json"})
        assert (answer.status_code in {400, 422}, answer.json()["error_code"]) == (True, "validation_error"), path
    assert alice.get("/sessions/a%00b").json()["error_code"] == "validation_error"
