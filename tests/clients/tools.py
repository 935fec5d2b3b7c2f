"""Runs the tools of other languages: compilers, package managers, the clients that they build."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

BUILD_SECONDS = 280


def run(command: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None) -> str:
    """Runs a tool and returns what it prints; its complaints are the failure."""
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        timeout=BUILD_SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    return done.stdout
