"""Which version this is: the first thing that a report of a fault says."""

import subprocess
import sys
import tomllib

import pytest

from tests.kit.docs import CHECKOUT

START = "from gitops.cli.main import main; main()"


@pytest.mark.parametrize("word", ["--version", "-V", "version"])
def test_the_version_is_the_project_s(word: str) -> None:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    done = subprocess.run([sys.executable, "-c", START, word], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == (f"{project['version']}\n", "")
