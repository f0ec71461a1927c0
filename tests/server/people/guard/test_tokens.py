"""Tokens of programs: what they open, and how they end."""

import time
from pathlib import Path

import pytest

from gitops.errors import TowerosError
from gitops.store.notes.people import ApiToken
from gitops.workflows.access import tokens as module
from gitops.workflows.access.tokens import Tokens
from tests.kit.logins import Towers, grants


@pytest.fixture
def towers(tmp_path: Path) -> Towers:
    towers = Towers(tmp_path)
    towers.account("ada", "admin")
    return towers


def test_prometheus_reads_the_metrics_by_a_token_and_one_of_a_site_does_not(towers: Towers) -> None:
    web, whole, part = towers.browser(), towers.token("prometheus", "viewer"), towers.token("script", "viewer@north")
    assert "toweros_boxes" in web.get("/metrics", headers=whole).text
    assert web.get("/metrics", headers=part).status_code == 403
    assert {box["box"] for box in web.get("/api/v1/boxes", headers=part).json()["boxes"]} == {"north-1", "north-2"}
    assert web.get("/", headers=whole).status_code == 200 and "set-cookie" not in web.get("/", headers=whole).headers


def test_a_token_that_is_wrong_is_never_a_visitor(towers: Towers, tmp_path: Path) -> None:
    """Also where nobody has to log in, and where a session goes along."""
    right = towers.token("script", "viewer")["authorization"]
    wrong = ["Bearer", "Bearer ", "Bearer x", right[:-1], right + "x", right.replace("toweros_", "toweros_0"),
             f"Bearer toweros_{'0' * 16}_{'A' * 43}", "Bearer " + "x" * 9000]  # fmt: skip
    web, open_ = towers.browser().login("ada"), Towers(tmp_path / "open").browser()
    for each in wrong:
        for browser in (web, open_):
            answer = browser.get("/api/v1/boxes", headers={"authorization": each})
            assert (answer.status_code, answer.headers.get("www-authenticate")) == (401, 'Bearer realm="toweros"'), each
    twice = [("authorization", right), ("authorization", right)]
    assert towers.browser().get("/api/v1/boxes", headers=twice).status_code == 401
    basic = {"authorization": "Basic YWRhOmFkYQ=="}
    assert (web.get("/api/v1/boxes", headers=basic).status_code, open_.get("/", headers=basic).status_code) == (
        200,
        200,
    )


def test_a_token_ends_and_is_taken_away(towers: Towers, monkeypatch: pytest.MonkeyPatch) -> None:
    web, headers = towers.browser(), towers.token("script", "viewer", days=2)
    assert web.get("/api/v1/boxes", headers=headers).status_code == 200
    monkeypatch.setattr(module.time, "time", lambda then=time.time(): then + 2 * 86_400 + 1)
    assert web.get("/api/v1/boxes", headers=headers).status_code == 401
    monkeypatch.undo()
    Tokens(towers.store).remove("script")
    assert web.get("/api/v1/boxes", headers=headers).status_code == 401


def test_the_store_has_no_token(towers: Towers) -> None:
    said = towers.token("script", "viewer")["authorization"].removeprefix("Bearer ")
    [kept] = towers.store.notes.each(ApiToken).values()
    assert (
        said.rpartition("_")[2] not in repr(kept)
        and said.encode() not in (towers.settings.state / "toweros.db").read_bytes()
    )


def test_a_name_is_one_token_s(towers: Towers) -> None:
    tokens = Tokens(towers.store)
    tokens.add("script", grants("viewer"), 1)
    with pytest.raises(TowerosError, match="there is a token"):
        tokens.add("script", grants("admin"), 1)
    with pytest.raises(TowerosError, match="no name"):
        tokens.add("../script", grants("admin"), 1)
    with pytest.raises(TowerosError, match="no token"):
        tokens.remove("other")


def test_a_token_sends_no_forms(towers: Towers) -> None:
    """What a form does needs the session of a browser."""
    assert (
        towers.browser().post("/logout", headers=towers.token("script", "admin"), data={"csrf": ""}).status_code == 403
    )
