"""Places beside the loop: what is wrong with one is told once, mended by itself, and holds up nobody."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from pydantic import ValidationError
from sqlalchemy import update

from gitops.cli.showing.view import View
from gitops.model import EventType
from gitops.rollout.choosing.choice import Choice
from gitops.server import create_app, serve
from gitops.settings import Settings
from gitops.store import tables
from gitops.store.notes.copied import CopiedTo
from gitops.workflows.elsewhere import rounds
from gitops.workflows.elsewhere.rounds import Elsewhere
from gitops.workflows.journal import Journal
from tests.kit.published import Kit, kit
from tests.kit.servers import silent


@pytest.fixture
def here(tmp_path: Path) -> Kit:
    made = kit(tmp_path / "fleet")
    made.publisher.publish([made.publication("demo-1", 1)])
    return made


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOOK", "PAUSE", "MAX_PAUSE"):
        monkeypatch.setattr(rounds, name, 0.0)


def elsewhere(here: Kit, *places: dict[str, Any]) -> tuple[Elsewhere, Settings]:
    settings = Settings(state=here.store.paths.root, publish=places)  # type: ignore[arg-type]
    return Elsewhere(settings, here.store, here.publisher.offered, Journal(here.store)), settings


def once(made: Elsewhere) -> None:
    made.start()
    assert made.wait(60) == []


def told(here: Kit) -> list[tuple[str, str]]:
    found = here.store.events.latest(limit=50)
    return [(each.type, each.message) for each in reversed(found) if each.reason == "Elsewhere"]


def test_a_place_that_is_away_is_told_once_and_the_others_have_all(tmp_path: Path, here: Kit) -> None:
    (tmp_path / "b").write_text("where the folder should be")
    made, settings = elsewhere(here, *({"name": name, "to": str(tmp_path / name)} for name in "ab"))
    for _ in range(3):
        once(made)
    assert (tmp_path / "a/metadata/timestamp.json").is_file()
    assert [kind for kind, _ in told(here)] == [EventType.WARNING] and str(tmp_path / "b") in told(here)[0][1]
    shown = "\n".join(str(each) for each in View(here.store, settings, None, Choice()).frame())
    assert "publish a: whole" in shown and f"publish b: {tmp_path / 'b'}" in shown
    with serve(create_app(here.store, settings), "127.0.0.1:0") as url:
        metrics = requests.get(f"{url}/metrics", timeout=20).text
        page = requests.get(f"{url}/", timeout=20).text
    assert 'toweros_publish_place_failing{place="a"} 0.0' in metrics and 'failing{place="b"} 1.0' in metrics
    assert "Published elsewhere" in page and str(tmp_path / "b") in page
    (tmp_path / "b").unlink()
    with here.store._database.write() as connection:
        connection.execute(update(tables.notes).where(tables.notes.c.name == "copied/a").values(document="{"))
    once(made)
    assert here.store.notes.get(CopiedTo, "a"), "what is damaged is written anew"
    assert told(here)[-1] == (EventType.NORMAL, "b has all that is published again") and len(told(here)) == 2
    (tmp_path / "b/metadata/timestamp.json").write_bytes(b"yesterday")
    once(made)
    assert told(here)[-1][0] == EventType.WARNING and "b: metadata/timestamp.json was another one" in told(here)[-1][1]


@pytest.fixture
def hanging() -> Iterator[str]:
    with silent() as url:
        yield url.rstrip("/")


def test_a_place_that_hangs_holds_up_neither_the_loop_nor_the_others(tmp_path: Path, here: Kit, hanging: str) -> None:
    credentials = tmp_path / "credentials"
    credentials.write_text("[default]\naws_access_key_id = a\naws_secret_access_key = b\n")
    hangs = {"name": "cdn", "to": "s3://boxes", "endpoint": hanging, "credentials_file": str(credentials)}
    made, _ = elsewhere(here, hangs, {"name": "site", "to": str(tmp_path / "site")})
    cdn, site = made.rounds
    made.start()
    assert site.wait(60) and not cdn.wait(0) and (tmp_path / "site/metadata/timestamp.json").is_file()
    before = {each.name for each in threading.enumerate()}
    made.start()
    assert sum(each.name == "publish-cdn" for each in threading.enumerate()) == 1 and "publish-cdn" in before
    here.publisher.publish([here.publication("demo-1", 2, b"two")])
    made.start()
    assert site.wait(60) and made.wait(0) == ["cdn"]
    ours = here.store.paths.metadata / "timestamp.json"
    assert (tmp_path / "site/metadata/timestamp.json").read_bytes() == ours.read_bytes()


def test_after_a_failure_it_waits_and_a_new_release_does_not_hurry_it(
    tmp_path: Path, here: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "b").write_text("where the folder should be")
    monkeypatch.setattr(rounds, "PAUSE", 3600.0)
    monkeypatch.setattr(rounds, "MAX_PAUSE", 7200.0)
    made, _ = elsewhere(here, {"name": "b", "to": str(tmp_path / "b")})
    once(made)
    (tmp_path / "b").unlink()
    here.publisher.publish([here.publication("demo-1", 2, b"two")])
    once(made)
    assert not (tmp_path / "b").exists()
    known = here.store.notes.get(CopiedTo, "b")
    assert known and known.error and known.done == 0


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ({"name": "a", "to": "{state}/out"}, "a folder apart from `state`"),
        ({"name": "a", "to": "{state}"}, "a folder apart from `state`"),
        ({"name": "a", "to": "/"}, "publish"),
        ({"name": "a", "to": "out"}, "publish"),
        ({"name": "a", "to": "/srv/../etc"}, "without `..`"),
        ({"name": "a", "to": "s3://ada:secret@bucket"}, "publish"),
        ({"name": "a", "to": "s3://bucket", "endpoint": "http://objects.example"}, "publish"),
        ({"name": "a", "to": "/srv/a", "endpoint": "https://objects.example"}, "only an s3:// place"),
        ({"name": "a", "to": "s3://bucket", "credentials_file": "secret"}, "by an absolute path"),
        ({"name": "a", "to": "oci://registry.example"}, "publish"),
    ],
)
def test_a_place_that_cannot_be_one_is_a_mistake_that_shows_no_secret(
    tmp_path: Path, place: dict[str, str], words: str
) -> None:
    place["to"] = place["to"].replace("{state}", str(tmp_path))
    with pytest.raises(ValidationError) as caught:
        Settings(state=tmp_path, publish=[place])  # type: ignore[list-item]
    assert words in str(caught.value) and "ada:secret" not in str(caught.value)
