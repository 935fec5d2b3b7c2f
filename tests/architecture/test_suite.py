"""The suite itself: a process of the tests that dies is told, and does not hang the run."""

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


def test_a_process_that_dies_fails_one_test_and_the_others_are_run(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_dying.py").write_text(SUITE)
    pytest = [sys.executable, "-m", "pytest", "-n", "2", "--dist", "loadgroup", "-p", "no:cacheprovider"]
    run = subprocess.run(
        [*pytest, "-c", "/dev/null", f"--rootdir={tmp_path}", f"--override-ini=pythonpath={TESTS}", tmp_path],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=tmp_path,
    )
    assert "1 failed, 90 passed" in run.stdout, run.stdout + run.stderr
