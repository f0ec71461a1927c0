"""The command line, as a user types it, in this process."""

import importlib
import subprocess
from pathlib import Path

import structlog.testing
import typer
from typer.testing import CliRunner, Result

from gitops.cli.main import verbs


def toweros(verb: str, *words: str | Path, typed: str = "") -> Result:
    """Run a verb here, without the root's logging, which would outlive it. `typed`: what somebody answers."""
    app = typer.Typer()
    app.callback()(lambda: None)
    importlib.import_module(verbs()[verb]).register(app)
    with structlog.testing.capture_logs():  # `toweros` itself writes them to stderr
        return CliRunner().invoke(app, [verb, *(str(word) for word in words)], input=typed)


def git(folder: Path, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=True).stdout.strip()
