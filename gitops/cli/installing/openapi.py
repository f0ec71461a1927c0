"""`toweros openapi`: what the update server can be asked, for programs and for people."""

import json
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    app.command()(openapi)


def openapi(
    markdown: Annotated[bool, typer.Option("--markdown", help="As the page docs/api.md.")] = False,
) -> None:
    """Print the OpenAPI document of this version's update server; none needs to run."""
    from gitops.server import create_app  # these take long to load
    from gitops.server.reference.page import page
    from gitops.settings import Settings
    from gitops.store import Store

    with tempfile.TemporaryDirectory() as folder:
        document = create_app(Store.open(Path(folder), migrate=True), Settings(state=Path(folder))).openapi()
    sys.stdout.write(page(document) if markdown else json.dumps(document, indent=2) + "\n")
