"""Reviews of a dataset of Superset over REST: the contract holds, and accepted texts go back."""

import httpx
import pytest
from gateway.reviews.contract import BASE, Contract
from gateway.serving import serving, settings
from sagitta_server.auth import TokenIssuer
from sagitta_server.auth.tokens import expand_permissions
from server.reviews.fake_superset import PASSWORD, USER, Reply, fake_superset

WAIT = {"intake_wait_ms": 20_000, "preview_wait_ms": 20_000, "launch_wait_ms": 20_000}


@pytest.fixture(scope="module")
def superset():
    with fake_superset("6.1.0") as fake:
        yield fake


@pytest.fixture(scope="module")
def issuer_and_url(superset, tmp_path_factory):
    folder = tmp_path_factory.mktemp("superset-over-rest")
    environment = {
        "base_url": superset.url,
        "username_env": "REST_BI_USER",
        "password_env": "REST_BI_PASSWORD",
        "timeout_s": 5,
        "write_back": True,
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REST_BI_USER", USER)
        patch.setenv("REST_BI_PASSWORD", PASSWORD)
        configured = settings(folder, reviews={"mutations_per_minute": 0, "environments": {"bi": environment}, **WAIT})
        with serving(configured) as running:
            yield TokenIssuer.for_data_dir(configured.data_dir), str(running.client.base_url).rstrip("/")


@pytest.fixture
def login(issuer_and_url, contract):
    """Makes a client whose every answer is checked against the contract."""
    issuer, url = issuer_and_url
    opened = []

    def client(permissions="all"):
        token = issuer.issue("alice", expand_permissions(permissions))
        made = httpx.Client(
            base_url=f"{url}{BASE}",
            headers={"Authorization": f"Bearer {token}"},
            timeout=60,
            transport=Contract(httpx.HTTPTransport(), contract),
        )
        opened.append(made)
        return made

    yield client
    for made in opened:
        made.close()


@pytest.fixture
def review(superset, login):
    """A client, a session on a dataset of its own, and that dataset as Superset has it."""
    number = max(superset.datasets) + 1
    held = superset.add_dataset(number, f"v_{number}", superset.datasets[1]["sql"])
    client = login()
    source = {
        "source_kind": "superset_link",
        "source_input": f"{superset.url}/dataset/{number}",
        "environment_id": "bi",
    }
    answer = client.post("/sessions", json=source)
    assert answer.status_code == 201, answer.text
    yield client, f"/sessions/{answer.json()['session_id']}", held
    superset.owned = True
    superset.trouble = lambda _method, _path: None


def write(client, session, name, **texts):
    fields = client.get(session).json()["semantic_fields"]
    field = next(f["field_id"] for f in fields if f["field_name"] == name)
    assert client.patch(f"{session}/fields/{field}/semantic", json=texts).status_code == 200
    return field


def test_from_a_link_to_the_rows(review):
    client, session, _ = review
    profile = client.get(session).json()["profile"]
    assert (profile["dataset_type"], profile["database_name"]) == ("virtual", "shop")
    made = client.post(f"{session}/preview").json()
    assert (made["preview_status"], made["compiled_by"]) == ("ready", "superset")
    assert made["compiler"]["kind"] == "superset"
    launched = client.post(f"{session}/launch").json()
    assert launched["run_context"]["launch_status"] == "success"
    assert launched["redirect_url"].startswith("http")
    report = client.get(f"{session}/exports/documentation", headers={"Accept": "text/markdown"}).text
    assert "the service account of bi" in report
    assert client.get("/environments/bi/health").json()["features"] == ["preview", "launch", "format_sql", "publish"]


def test_accepted_texts_go_back_and_the_answer_tells_what_changed(review):
    client, session, held = review
    field = write(client, session, "amount", verbose_name="Betrag", description="Что стоил заказ")
    dry = client.post(f"{session}/publish", json={"field_ids": [field], "dry_run": True}).json()
    assert (dry["dry_run"], len(dry["changes"])) == (True, 2)
    assert held["columns"][3]["verbose_name"] is None
    answer = client.post(f"{session}/publish", headers={"Idempotency-Key": session[-36:]})
    told = answer.json()
    assert answer.status_code == 200
    assert told["changes"][0] == {
        "field_kind": "column",
        "field_name": "amount",
        "attribute": "verbose_name",
        "before": None,
        "after": "Betrag",
    }
    assert held["columns"][3]["description"] == "Что стоил заказ"
    again = client.post(f"{session}/publish", headers={"Idempotency-Key": session[-36:]})
    assert (again.json(), again.headers["idempotent-replay"]) == (told, "true")


def test_refusals_have_the_contract_s_shape(review, superset, login):
    client, session, held = review
    write(client, session, "amount", verbose_name="Amount")
    reader = login("dataset:session:read,dataset:session:manage")
    refused = reader.post(f"{session}/publish")
    assert (refused.status_code, refused.json()["details"]["required"]) == (403, ["dataset:semantics:publish"])
    superset.owned = False
    refused = client.post(f"{session}/publish")
    assert (refused.status_code, refused.json()["error_code"]) == (403, "publish_forbidden")
    superset.owned = True
    superset.trouble = lambda method, _path: (
        Reply(503, content=b"", media_type="text/html") if method == "PUT" else None
    )
    refused = client.post(f"{session}/publish")
    assert (refused.status_code, refused.json()["error_code"]) == (503, "superset_unreachable")
    superset.trouble = lambda _method, _path: None
    superset.touch(held["id"])
    refused = client.post(f"{session}/publish")
    assert (refused.status_code, refused.json()["error_code"]) == (409, "dataset_changed")
    assert set(refused.json()) == {"error_code", "message", "details"}


def test_a_superset_that_is_down_is_told_where_no_record_of_it_is_kept(review, superset):
    client, session, _ = review
    superset.trouble = lambda _method, path: (
        Reply(503, content=b"", media_type="text/html") if path.endswith("/dataset/2") else None
    )
    body = {"source_type": "reference_dataset", "source_ref": "dataset:2"}
    refused = client.post(f"{session}/semantic-source", json=body)
    assert (refused.status_code, refused.json()["error_code"]) == (503, "superset_unreachable")
    missing = client.post(f"{session}/semantic-source", json={**body, "source_ref": "dataset:999"})
    assert (missing.status_code, missing.json()["error_code"]) == (404, "semantic_source_not_found")
