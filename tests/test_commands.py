"""The commands that a newcomer needs."""

from __future__ import annotations

import os
from pathlib import Path
import re

import pytest

ROOT = Path(__file__).parents[1]
COMMANDS = ("scripts/demo", "scripts/test")


def test_readme() -> None:
    """The README names both commands side by side, before it explains anything."""
    start, _, _ = (ROOT / "README.md").read_text().partition("## Installation")
    [block] = re.findall(r"```console\n(.*?)```", start, re.DOTALL)
    assert block.split()[-2:] == [*COMMANDS]


@pytest.mark.parametrize("command", COMMANDS)
def test_executable(command: str) -> None:
    """A command needs no other program to start it."""
    assert os.access(ROOT / command, os.X_OK)


def test_ci() -> None:
    """CI runs the same tests as a contributor."""
    assert "scripts/test" in (ROOT / ".ci" / "run").read_text()
