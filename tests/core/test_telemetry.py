"""What may not stand in a log line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import structlog
from core import telemetry

def call(token):
    raise RuntimeError("refused")

telemetry.set_up(%r)
try:
    call("12:" + "s" * 20)
except RuntimeError:
    structlog.get_logger().exception("platform call failed")
"""


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_traceback_shows_no_values_of_variables(form: str) -> None:
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", PROGRAM % form], cwd=root, capture_output=True, text=True, check=True)
    assert "RuntimeError: refused" in done.stderr
    assert "s" * 20 not in done.stderr
