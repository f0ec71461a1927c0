"""Tokens of programs: what they open, and how they end."""

import time
from pathlib import Path

import pytest

from gitops.errors import TowerosError
from gitops.store.notes.notes import Notes
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


def test_when_a_token_was_last_used_is_told_and_written_once_an_hour(
    towers: Towers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A read is not a write each time."""
    web, headers, begun = towers.browser(), towers.token("prometheus", "viewer"), int(time.time())
    written, renew = list[object](), Notes.renew
    monkeypatch.setattr(Notes, "renew", lambda notes, what, key: written.append(what) or renew(notes, what, key))

    def used() -> list[int]:
        return [row.used for row in towers.store.notes.each(ApiToken).values()]

    assert used() == [0] and "never" in towers.browser().login("ada").get("/keys").text
    written.clear()
    for later in (0, 1, module.SEEN - 1, module.SEEN, module.SEEN + 1):
        monkeypatch.setattr(module.time, "time", lambda now=begun + later: now)
        assert web.get("/metrics", headers=headers).status_code == 200
    assert len(written) == 2 and used() == [begun + module.SEEN]
    wrong = {"authorization": headers["authorization"][:-1] + "!"}
    monkeypatch.setattr(module.time, "time", lambda: begun + 9 * module.SEEN)
    assert web.get("/metrics", headers=wrong).status_code == 401 and used() == [begun + module.SEEN]


def test_tokens_and_their_use_are_for_admins(towers: Towers) -> None:
    towers.account("ben", "viewer")
    admins, viewers = towers.token("script", "admin"), towers.token("prometheus", "viewer")
    web = towers.browser()
    rows = {row["name"]: row for row in web.get("/api/v1/keys", headers=admins).json()["tokens"]}
    assert rows["script"]["used"] >= rows["script"]["made"] > 0 == rows["prometheus"]["used"]
    assert rows["prometheus"]["grants"] == [{"role": "viewer", "site": "*"}]
    assert web.get("/api/v1/keys", headers=viewers).json()["tokens"] == []
    shown = towers.browser().login("ada").get("/keys").text
    assert "Tokens of programs" in shown and "prometheus" in shown
    assert "prometheus" not in towers.browser().login("ben").get("/keys").text


def test_a_token_that_is_taken_away_while_it_is_used_is_nobody(towers: Towers, monkeypatch: pytest.MonkeyPatch) -> None:
    headers, compare = towers.token("script", "viewer"), module.hmac.compare_digest

    def meanwhile(one: str, other: str) -> bool:
        monkeypatch.undo()
        Tokens(towers.store).remove("script")
        return compare(one, other)

    monkeypatch.setattr(module.hmac, "compare_digest", meanwhile)
    assert towers.browser().get("/api/v1/boxes", headers=headers).status_code == 401
    assert not towers.store.notes.each(ApiToken)


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
