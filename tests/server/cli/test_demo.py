"""The demo: data made once, and lines that work as they are printed."""

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import grpc
import httpx
import pytest
from google.protobuf import json_format
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from harness.server import Server, serving
from sagitta.semantic.v1 import query_service_pb2, query_service_pb2_grpc
from sagitta_server.demo import tpch

pytestmark = pytest.mark.xdist_group("demo")

REGIONS = ("AFRICA", "AMERICA", "ASIA", "EUROPE", "MIDDLE EAST")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory):
    with serving(tmp_path_factory.mktemp("demo"), ["--scale-factor=0.01"], command="demo") as server:
        yield server


def printed(server: Server) -> dict[str, str]:
    """The lines to paste, by the first word of their titles."""
    pairs = re.findall(r"^(\S[^\n]*)\n  (\S[^\n]*)$", server.log.read_text(), re.MULTILINE)
    return {title.split()[0].strip(","): line for title, line in pairs if not line[0].isdigit()}


def pasted(line: str) -> str:
    run = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 0, f"{line}\n{run.stdout}{run.stderr}"
    return run.stdout


@pytest.mark.parametrize("client", ["sagitta", "ADBC", "curl"])
def test_printed_line_answers_as_it_stands(demo: Server, client: str) -> None:
    if client == "curl" and not shutil.which("curl"):
        pytest.skip("curl is not installed")
    answer = pasted(printed(demo)[client])
    assert [region for region in REGIONS if region not in answer] == []


def test_printed_curl_line_is_a_whole_answer(demo: Server) -> None:
    words = shlex.split(printed(demo)["curl"])
    body = json.loads(words[-1])
    answer = httpx.post(words[2], json=body, timeout=30)
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["rows"]) == len(REGIONS)


def test_printed_grpcurl_line_names_a_method_and_a_message_that_exist(demo: Server) -> None:
    line = printed(demo)["grpcurl"]
    if shutil.which("grpcurl"):
        assert "SELECT" in pasted(line)
    words = shlex.split(line)
    message, address, (service, method) = words[3], words[4], words[5].split("/")
    request = json_format.Parse(message, query_service_pb2.CompileQueryRequest())
    with grpc.insecure_channel(address) as channel:
        compiled = getattr(query_service_pb2_grpc.QueryServiceStub(channel), method)(request, timeout=30)
        asked = reflection_pb2.ServerReflectionRequest(file_containing_symbol=service)
        (found,) = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(iter([asked]), timeout=30)
    assert "SELECT" in compiled.sql
    assert found.file_descriptor_response.file_descriptor_proto, "grpcurl asks reflection for the service"


def test_printed_jdbc_url_leads_to_flight(demo: Server) -> None:
    place = demo.flight.removeprefix("grpc://")
    assert printed(demo)["JDBC"] == f"jdbc:arrow-flight-sql://{place}/?useEncryption=false"


def test_printed_documentation_works_without_internet(demo: Server) -> None:
    page = httpx.get(printed(demo)["A"], timeout=30)
    assert page.status_code == 200
    assets = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert assets
    for asset in assets:
        assert not re.match(r"(https?:)?//", asset), asset
        assert httpx.get(httpx.URL(demo.http).join(asset), timeout=30).status_code == 200, asset


def test_second_start_reuses_the_data(tmp_path: Path) -> None:
    said: list[str] = []
    first = tpch.database(tmp_path, 0.01, said.append)
    made = first.stat().st_mtime_ns
    assert tpch.database(tmp_path, 0.01, said.append) == first
    assert first.stat().st_mtime_ns == made
    assert "is ready" in said[-1]


def test_data_that_was_not_finished_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(tpch, "load", killed)
        with pytest.raises(KeyboardInterrupt):
            tpch.database(tmp_path, 0.01, lambda _line: None)
    assert list(tmp_path.iterdir()) == [], "nothing half-made is left"
    assert tpch.database(tmp_path, 0.01, lambda _line: None).exists()


def test_all_eight_tables_are_there(tmp_path: Path) -> None:
    import duckdb

    with duckdb.connect(str(tpch.database(tmp_path, 0.01, lambda _line: None)), read_only=True) as connection:
        rows = {name: connection.table(name).aggregate("count(*)").fetchall()[0][0] for name in tpch.TABLES}
    assert rows == {
        "region": 5,
        "nation": 25,
        "supplier": 100,
        "customer": 1500,
        "part": 2000,
        "partsupp": 8000,
        "orders": 15000,
        "lineitem": 60175,
    }
