"""Damaged and hostile files, some hundred of them; ``make fuzz`` reads thousands."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("seed", [1])
def test_strange_files_are_used_or_refused(seed: int) -> None:
    command = [sys.executable, str(Path(__file__).with_name("fuzzing.py")), "--cases", "250", "--seed", str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "generator refused" in done.stdout
