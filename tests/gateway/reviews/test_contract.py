"""Every operation of the contract, with every status that it lists; each answer is checked against its schema."""

import httpx
import pytest
import yaml
from gateway.reviews.conftest import detail, query, started
from gateway.reviews.contract import BASE, CONTRACT, ID, Contract
from openapi_core.exceptions import OpenAPIError
from sagitta_server.auth import TokenIssuer
from sagitta_server.auth.tokens import expand_permissions

NOWHERE = "00000000-0000-4000-8000-000000000000"
_METHODS = {"get", "post", "patch", "put", "delete"}


def listed() -> set[tuple[str, str, str]]:
    """Method, path with `{}` for ids, and status of everything that the contract promises."""
    paths = yaml.safe_load(CONTRACT.read_text())["paths"]
    return {
        (method, ID.sub("{}", path), status)
        for path, item in paths.items()
        for method, operation in item.items()
        if method in _METHODS
        for status in operation["responses"]
    }


@pytest.fixture
def recording(reviewing, contract):
    """A client whose checked answers are remembered."""
    issuer = TokenIssuer.for_data_dir(reviewing.engine.settings.data_dir)
    transport = Contract(httpx.HTTPTransport(), contract)
    base = f"{str(reviewing.client.base_url).rstrip('/')}{BASE}"
    token = issuer.issue("carol", expand_permissions("all"))
    with httpx.Client(
        base_url=base, headers={"Authorization": f"Bearer {token}"}, timeout=60, transport=transport
    ) as client:
        yield client, transport.checked


def test_every_listed_status_of_every_operation_is_answered_as_the_contract_says(recording, alice):
    client, checked = recording
    walk_through(client)
    session, foreign = started(client, query({"firstDay": "2024-01-01"})), started(alice, query())
    refuse_everything(client, session, foreign)
    assert sorted(listed() - checked) == []
    assert len({(method, path) for method, path, _ in checked & listed()}) == 19


def walk_through(client: httpx.Client) -> None:
    """The good answers, 200 to 204, and what a review that is not ready is refused."""
    session = started(client, query({"firstDay": "2024-01-01"}))
    client.get("/sessions")
    given = detail(client, session)
    field = f"{session}/fields/{given['semantic_fields'][0]['field_id']}"
    mapping = f"{session}/mappings/{given['mappings'][0]['mapping_id']}"
    client.post(f"{session}/launch")  # 409: there is no preview
    client.post(f"{session}/semantic-source", json={"source_type": "ai_generated", "source_ref": "default"})
    client.patch(f"{field}/semantic", json={"description": "What it is"})
    client.post(f"{field}/lock")
    client.post(f"{field}/unlock")
    client.get(f"{session}/clarification")
    state = client.post(f"{session}/clarification/resume").json()
    question = state["current_question"]["question_id"]
    answer = {"question_id": question, "answer_kind": "skipped"}
    assert client.post(f"{session}/clarification/answers", json=answer).status_code == 200
    client.get(f"{session}/mappings")
    client.patch(mapping, json={"effective_value": "2024-02-01"})
    client.post(f"{mapping}/approve")
    assert client.post(f"{session}/preview", headers={"Prefer": "respond-async"}).status_code == 202
    for _ in range(100):
        if client.post(f"{session}/preview").status_code == 200:
            break
    assert client.post(f"{session}/launch").status_code == 201
    for name in ("documentation", "validation"):
        for form in ("json", "markdown", "csv", "pdf"):
            assert client.get(f"{session}/exports/{name}", params={"format": form}).status_code == 200
    client.patch(session, json={"status": "archived"})
    assert client.delete(session).status_code == 204
    unready = started(client, query())
    assert client.post(f"{unready}/preview").status_code == 409


def refuse_everything(client: httpx.Client, session: str, foreign: str) -> None:
    """The listed failures: 400, 401, 403, 404 and 422."""
    nobody = {"Authorization": "Bearer nobody"}
    bad_version = {"If-Match": "seven"}
    given = detail(client, session)
    field, mapping = given["semantic_fields"][0]["field_id"], given["mappings"][0]["mapping_id"]
    unready = started(client, query())
    placeholder = detail(client, unready)["mappings"][0]["mapping_id"]
    client.get("/sessions", headers=nobody)
    source = {"source_kind": "dataset_selection", "source_input": "model:shop", "environment_id": "local"}
    client.post("/sessions", json={**source, "source_kind": "superset_link", "source_input": "http://x/y"})
    client.post("/sessions", json={**source, "environment_id": "moon"})
    client.post("/sessions", json={})
    client.get(session, headers=nobody)
    client.patch(session, json={"status": "moon"})
    for place in (foreign, f"/sessions/{NOWHERE}"):
        client.get(place)
        client.patch(place, json={"status": "paused"})
        client.delete(place)
        client.post(f"{place}/semantic-source", json={"source_type": "ai_generated", "source_ref": "default"})
        client.patch(f"{place}/fields/{field}/semantic", json={"description": "x"})
        client.post(f"{place}/fields/{field}/lock")
        client.post(f"{place}/fields/{field}/unlock")
        client.get(f"{place}/clarification")
        client.post(f"{place}/clarification/resume")
        client.post(f"{place}/clarification/answers", json={"question_id": "q", "answer_kind": "skipped"})
        client.get(f"{place}/mappings")
        client.patch(f"{place}/mappings/{mapping}", json={"effective_value": 1})
        client.post(f"{place}/mappings/{mapping}/approve")
        client.get(f"{place}/exports/documentation")
        client.get(f"{place}/exports/validation")
    client.post(f"{session}/semantic-source", json={"source_type": "moon", "source_ref": "x"})
    client.patch(f"{session}/fields/{field}/semantic", json={"moon": 1})
    client.post(f"{session}/clarification/answers", json={"answer_kind": "skipped"})
    state = client.post(f"{session}/clarification/resume").json()
    question = state["current_question"]["question_id"]
    wrong = {"question_id": question, "answer_kind": "selected", "answer_value": "none of them"}
    client.post(f"{session}/clarification/answers", json=wrong)
    client.patch(f"{session}/mappings/{mapping}", json={})
    client.post(f"{unready}/mappings/{placeholder}/approve")
    client.post(f"{session}/preview", headers=bad_version)
    client.post(f"{session}/launch", headers=bad_version)


def test_the_check_can_fail(contract):
    """An answer that the contract does not allow is noticed: a wrong enumeration, a missing property, a wrong body."""
    path = f"http://host{BASE}/sessions/{NOWHERE}/clarification"
    for content in ({}, {"clarification_session": {"status": "moon"}}, {"error": "x"}):
        inner = httpx.MockTransport(lambda _, body=content: httpx.Response(200, json=body))
        with httpx.Client(transport=Contract(inner, contract)) as client, pytest.raises((OpenAPIError, AssertionError)):
            client.get(path)
    unlisted = httpx.MockTransport(lambda _: httpx.Response(500, json={"detail": "oops"}))
    with httpx.Client(transport=Contract(unlisted, contract)) as client, pytest.raises(AssertionError):
        client.get(path)
