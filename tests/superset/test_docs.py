"""The walk of docs/reviews-superset.md does what it says, and every answer on its way keeps the contract."""

import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
import yaml
from gateway.reviews.contract import BASE, CONTRACT, Contract
from harness.server import serving
from openapi_core import OpenAPI

pytestmark = pytest.mark.xdist_group("superset")

DOC = Path(__file__).parents[2] / "docs" / "reviews-superset.md"


@pytest.fixture(scope="module")
def sagitta(superset, tmp_path_factory):
    """A server that is configured as the page says."""
    configured = dict(re.findall(r"(SAGITTA_\w+)=(\S+)", DOC.read_text()))
    configured["SAGITTA_REVIEWS__ENVIRONMENTS__BI__BASE_URL"] = superset.base_url
    secrets = {"SUPERSET_USER": "admin", "SUPERSET_PASSWORD": "admin"}
    patient = {"SAGITTA_REVIEWS__LAUNCH_WAIT_MS": "60000", "SAGITTA_REVIEWS__PREVIEW_WAIT_MS": "60000"}
    patient["SAGITTA_REVIEWS__INTAKE_WAIT_MS"] = "60000"
    folder = tmp_path_factory.mktemp("sagitta")
    with serving(folder, [], environment={**configured, **secrets, **patient}) as server:
        yield server, folder


def blocks() -> list[str]:
    return re.findall(r"^```bash\n(.*?)^```", DOC.read_text(), re.MULTILINE | re.DOTALL)


def test_the_walk_can_be_pasted(sagitta, superset, tmp_path):
    server, folder = sagitta
    script = "set -eu -o pipefail\n" + "\n".join(blocks())
    for said, here in (
        ("/tmp/", f"{tmp_path}/"),
        ("http://127.0.0.1:8080", server.http),
        ("http://127.0.0.1:8088", superset.base_url),
        ("--data-dir .sagitta", f"--data-dir {folder}/data"),
        ("$PWD/.venv/bin", str(Path(sys.executable).parent)),
    ):
        script = script.replace(said, here)
    done = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, timeout=120, check=False, env=os.environ
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    said = f"\n{done.stdout}"
    dataset = superset.fixtures["ds_v_orders"]
    for expected in ("review_ready", f"dataset:{dataset}", "ready", "chart_data", "success", "43"):
        assert f"\n{expected}\n" in said
    for filtered in ("country IN ['FR', 'US'] recovered", "status URL_PARAM shipped recovered"):
        assert filtered in said
    assert "v_orders is a virtual dataset (SQL) in shop_sqlite, schema main: 7 columns, 2 metrics" in said
    assert "Gross order value in EUR" in said, "the neighbour's text is in the documentation"
    assert f"{superset.base_url}/sqllab/" in said
    assert "service account, with its row-level security" in said


def test_every_answer_keeps_the_contract(sagitta, superset):
    server, folder = sagitta
    program = Path(sys.executable).with_name("sagitta")
    command = [program, "token", "--sub=alice", "--permissions=all", f"--data-dir={folder / 'data'}"]
    token = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    contract = OpenAPI.from_dict(yaml.safe_load(CONTRACT.read_text()))
    with httpx.Client(
        base_url=f"{server.http}{BASE}",
        headers={"Authorization": f"Bearer {token}"},
        timeout=60,
        transport=Contract(httpx.HTTPTransport(), contract),
    ) as client:
        for name, link in superset.links.items():
            body = {"source_kind": "superset_link", "source_input": link, "environment_id": "bi"}
            answer = client.post("/sessions", json=body)
            assert answer.status_code == 201, (name, answer.text)
            session = f"/sessions/{answer.json()['session_id']}"
            found = client.get(session).json()
            assert client.get(f"{session}/mappings").status_code == 200
            assert client.get(f"{session}/clarification").status_code == 200
            assert client.post(f"{session}/preview").json()["preview_status"] == "ready"
            launched = client.post(f"{session}/launch")
            assert launched.status_code == 201, launched.text
            assert launched.json()["run_context"]["launch_status"] == "success"
            for kind in ("documentation", "validation") if name == "dashboard_permalink" else ():
                for written in ("json", "markdown", "csv", "pdf"):
                    exported = client.get(f"{session}/exports/{kind}", params={"format": written})
                    assert exported.status_code == 200, exported.text
            assert found["session"]["readiness_state"] == "review_ready"
        lost = f"{superset.links['dashboard']}?native_filters_key=nosuchkey"
        body = {"source_kind": "superset_link", "source_input": lost, "environment_id": "bi"}
        answer = client.post("/sessions", json=body)
        assert (answer.status_code, answer.json()["readiness_state"]) == (201, "recovery_required")
        body["source_input"] = f"{superset.base_url}/superset/dashboard/{quote('nö such')}/"
        assert client.post("/sessions", json=body).status_code == 404
        body["source_input"] = "http://elsewhere.example.com/superset/dashboard/1/"
        assert client.post("/sessions", json=body).status_code == 400
