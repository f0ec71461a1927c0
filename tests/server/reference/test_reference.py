"""docs/api.md and /openapi.json say what the update server answers: nothing is left out, nothing is made up."""

from pathlib import Path

import pytest
from fastapi import FastAPI

from gitops.server import create_app
from gitops.server.people.page import QUERIES
from gitops.server.reference.document import QUESTIONS
from gitops.server.reference.page import page
from gitops.settings import Settings
from gitops.source.shipped.home import CHECKOUT
from gitops.store import Store
from tests.kit.console import toweros


@pytest.fixture
def app(tmp_path: Path) -> FastAPI:
    return create_app(Store.open(tmp_path, migrate=True), Settings(state=tmp_path))


def test_the_page_is_what_the_server_says_of_itself(app: FastAPI) -> None:
    """Somebody changed a route or a parameter: `make api` writes the page again."""
    assert (CHECKOUT / "docs" / "api.md").read_text() == page(app.openapi())


def test_every_operation_has_words_and_its_own_parameters(app: FastAPI) -> None:
    for path, methods in app.openapi()["paths"].items():
        for method, operation in methods.items():
            assert operation["description"].strip(), f"{method} {path}: a docstring, or WORDS of server/reference"
            named = {each["name"] for each in operation["parameters"] if each["in"] == "query"}
            if method == "get" and path in QUESTIONS:
                assert named == set(QUERIES[QUESTIONS[path]].parameters)


def test_asking_twice_gives_the_same(app: FastAPI) -> None:
    assert app.openapi() == app.openapi()


def test_a_command_prints_both_without_a_server() -> None:
    assert toweros("openapi", "--markdown").stdout.startswith("# The API\n")
    assert '"openapi": "3.1.0"' in toweros("openapi").stdout
