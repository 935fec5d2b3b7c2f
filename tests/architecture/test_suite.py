"""The suite itself: groups stay together, and a process of the tests that dies is told and does not hang the run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]

CONFTEST = """
from harness.scheduling import SurvivingScheduling


def pytest_xdist_make_scheduler(config, log):
    return SurvivingScheduling(config, log)
"""

# What the dead process had finished before is what made the others wait.
SUITE = """
import os
from pathlib import Path

import pytest


@pytest.mark.parametrize("number", range(40))
def test_before(number):
    pass


@pytest.mark.xdist_group("together")
@pytest.mark.parametrize("number", range(10))
def test_together(number):
    died = Path(__file__).with_name("died")
    if number == 5 and not died.exists():
        died.touch()
        os._exit(1)


@pytest.mark.parametrize("number", range(40))
def test_after(number):
    pass
"""

GROUPS = """
import os
from pathlib import Path

import pytest


@pytest.mark.parametrize("number", range(8))
@pytest.mark.parametrize("group", [pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in ("a", "b", "c")])
def test_where(group, number):
    Path(__file__).with_name(f"{group}-{os.environ['PYTEST_XDIST_WORKER']}").touch()
"""


def test_tests_of_one_group_run_in_one_process(tmp_path: Path) -> None:
    told = run(tmp_path, GROUPS)
    assert "24 passed" in told
    ran = sorted(path.name.partition("-")[0] for path in tmp_path.glob("?-gw*"))
    assert ran == ["a", "b", "c"]


def test_a_process_that_dies_fails_one_test_and_the_others_are_run(tmp_path: Path) -> None:
    assert "1 failed, 90 passed" in run(tmp_path, SUITE)


def run(folder: Path, suite: str) -> str:
    """What pytest tells of a suite, run by two processes."""
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "test_it.py").write_text(suite)
    pytest = [sys.executable, "-m", "pytest", "-n", "2", "--dist", "loadgroup", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*pytest, "-c", "/dev/null", f"--rootdir={folder}", f"--override-ini=pythonpath={TESTS}", folder],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=folder,
    )
    return done.stdout + done.stderr
