"""`toweros docs [PAGE]`: the pages that came with this version, where no browser is."""

from typing import Annotated

import typer

from gitops.cli.output import console
from gitops.errors import TowerosError
from gitops.source.shipped import home


def register(app: typer.Typer) -> None:
    app.command()(docs)


def docs(
    page: Annotated[str, typer.Argument(metavar="PAGE", help="As in the list; empty: the list.")] = "",
) -> None:
    """Print a page of this version's documentation; without a name, which there are."""
    pages = home.tree("docs")
    names = sorted(path.removesuffix(".md") for path in pages.entries() if path.endswith(".md"))
    if not page:
        console.print("\n".join(name for name in names if "/" not in name))
        return
    name = page.removeprefix("docs/").partition("#")[0].removesuffix(".md")
    if name not in names:
        raise TowerosError(f"there is no page {page}", hint="`toweros docs` lists them")
    console.print(pages.read(f"{name}.md").decode())
