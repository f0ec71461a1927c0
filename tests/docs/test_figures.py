"""Names and figures of the documents are those of the code: settings, metrics, minutes."""

import json
import re
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from gitops import controller
from gitops.model import SILENT
from gitops.review import markdown
from gitops.server import create_app
from gitops.settings import PREFIX, Settings
from gitops.workflows.reviews import reviewer
from tests.kit.docs import CHECKOUT, DOCS, documents
from tests.kit.published import kit

OPERATIONS, CONTROLLER, SETTINGS, REVIEW = (
    DOCS / f"{name}.md" for name in ("operations", "controller", "settings", "review")
)
NO_SETTINGS = {"PURGE", "CONFIG", "DEBUG", "NAME", "FORGE_TOKEN", "COMMENT_TOKEN", "EVERY"}
"""What follows TOWEROS_ in the documents and is no key of toweros.toml; NAME stands for every one that is."""


def described(page: Path) -> dict[str, str]:
    """Each `name` of the first column of a page's tables, with the second column."""
    rows = re.findall(r"^\| (`[^|]*?) \|(.*?)\|", page.read_text(), re.M)
    return {name: value.strip(" `") for names, value in rows for name in re.findall(r"`([a-z_]+)`", names)}


def test_every_setting_is_described_and_the_other_way_round() -> None:
    assert described(SETTINGS).keys() == Settings.model_fields.keys()


def test_every_default_is_the_code_s() -> None:
    written, defaults = described(SETTINGS), Settings.model_construct()
    values = {name: getattr(defaults, name) for name in written}
    assert written == {name: "" if value in (None, ()) else _toml(value) for name, value in values.items()}


def test_every_variable_of_the_environment_exists() -> None:
    pages = "".join(path.read_text() for path in documents())
    named = set(re.findall(rf"\b{PREFIX}([A-Z_]+)", pages))
    assert named - NO_SETTINGS <= {name.upper() for name in Settings.model_fields}


def test_every_metric_is_described_and_the_other_way_round(tmp_path: Path) -> None:
    text = TestClient(create_app(kit(tmp_path).store, Settings())).get("/metrics").text
    exposed = set(re.findall(r"^# TYPE (\w+)", text, re.M))
    table = set(re.findall(r"^\| `(toweros_[a-z_]+)", CONTROLLER.read_text(), re.M))
    assert table == exposed
    pages = "".join(path.read_text() for path in documents())
    assert set(re.findall(r"`(toweros_[a-z_]+)[`{]", pages)) - {"toweros_agent"} == exposed


@pytest.mark.parametrize(
    ("page", "sentence"),
    [
        (OPERATIONS, f"no report for {SILENT // 60} minutes"),
        (OPERATIONS, {600: "every ten minutes in the end"}[int(controller.MAX_PAUSE)]),
        (REVIEW, f"at most {markdown.LIMIT:,} characters"),
        (REVIEW, {5: "five pull requests a round"}[reviewer.PER_ROUND]),
    ],
)
def test_a_figure_in_a_sentence_is_the_code_s(page: Path, sentence: str) -> None:
    assert sentence in page.read_text()


def test_every_link_and_every_path_of_this_project_leads_somewhere() -> None:
    lost = []
    for page in [*documents(), CHECKOUT / "CHANGELOG.md"]:
        text = page.read_text()
        links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]
        lost += [f"{page}: {link}" for link in links if link and not (page.parent / link).exists()]
        paths = re.findall(r"`((?:gitops|tests|bench|tools|contrib|contracts|pkg|docs)/[A-Za-z0-9_./-]*)`", text)
        if page.is_relative_to(DOCS / "adr"):
            continue  # a decision speaks of the tree that it was taken in
        lost += [f"{page}: {path}" for path in paths if not (CHECKOUT / path).exists() and "NAME" not in path]
    assert lost == []


def _toml(value: object) -> str:
    if isinstance(value, tuple):
        return json.dumps(value)
    return str(value).lower() if isinstance(value, bool) else str(value)
