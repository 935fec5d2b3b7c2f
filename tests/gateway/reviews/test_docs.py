"""The walk of docs/reviews.md does what it says, on TPC-H, as a reader would paste it."""

import os
import re
import subprocess
import sys
from pathlib import Path

from harness import tpch
from harness.server import serving

DOC = Path(__file__).parents[3] / "docs" / "reviews.md"


def blocks() -> list[str]:
    return re.findall(r"^```bash\n(.*?)^```", DOC.read_text(), re.MULTILINE | re.DOTALL)


def test_the_walk_can_be_pasted(tmp_path):
    flags = [f"--model={tpch.MODEL}", f"--source=duckdb:///{tpch.database(0.01)}"]
    with serving(tmp_path, flags) as server:
        script = "set -eu -o pipefail\n" + "\n".join(blocks())
        for said, here in (
            ("/tmp/", f"{tmp_path}/"),
            ("http://127.0.0.1:8080", server.http),
            ("--data-dir .sagitta", f"--data-dir {tmp_path}/data"),
            ("$PWD/.venv/bin", str(Path(sys.executable).parent)),
        ):
            script = script.replace(said, here)
        done = subprocess.run(
            ["bash", "-c", script], capture_output=True, text=True, timeout=120, check=False, env=os.environ
        )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    said = done.stdout
    for expected in ("review_ready", "applied", "What value should regions have?", "approved", "ready", "success"):
        assert f"\n{expected}\n" in f"\n{said}"
    assert "IN ('EUROPE', 'ASIA')" in said
    assert ">= CAST('1995-01-01' AS DATE)" in said
    assert said.count("AUTOMOBILE") == 2, "the rows came over ADBC and as CSV"
    assert re.search(r"\*\*Launched .*: 5 rows\. Reopen", said)
    assert (tmp_path / "tpch.pdf").read_bytes().startswith(b"%PDF")
