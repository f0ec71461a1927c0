"""Where a setting comes from: the nearest place wins, and a path is relative to the file that names it."""

from pathlib import Path

import pytest

from gitops.errors import SettingsError
from gitops.settings import PATHS, load


def test_a_flag_wins_over_the_environment_and_that_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "toweros.toml"
    file.write_text('poll = 10\nepoch = 10\ngrace = 10\nstate = "here"\n')
    monkeypatch.setenv("TOWEROS_EPOCH", "20")
    monkeypatch.setenv("TOWEROS_GRACE", "20")
    settings = load(file, grace=30)
    assert (settings.poll, settings.epoch, settings.grace) == (10, 20, 30)
    assert settings.state == tmp_path / "here"


def test_every_setting_that_is_a_path_is_relative_to_its_file() -> None:
    assert {"state", "keys", "ssh_key", "database_file", "registry_auth"} <= set(PATHS)
    assert "repository" not in PATHS


def test_an_unknown_setting_names_file_and_page(tmp_path: Path) -> None:
    file = tmp_path / "toweros.toml"
    file.write_text("pol = 10\n")
    with pytest.raises(SettingsError, match=r"toweros\.toml: pol") as caught:
        load(file)
    assert "docs/settings.md" in caught.value.hint


def test_feeds_are_tables_and_a_folder_is_beside_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "toweros.toml"
    table = '[[feeds]]\nname = "{}"\nplace = "{}"\n'
    config.write_text(table.format("debian", "feeds") + table.format("pypi", "http://127.0.0.1/all.zip"))
    found = load(config).feeds
    assert [(feed.name, feed.place) for feed in found] == [
        ("debian", str(tmp_path / "feeds")),
        ("pypi", "http://127.0.0.1/all.zip"),
    ]
    monkeypatch.setenv("TOWEROS_FEEDS", '[{"name": "own", "place": "/srv/osv"}]')
    assert [feed.name for feed in load(config).feeds] == ["own"]
    monkeypatch.delenv("TOWEROS_FEEDS")
    for text, words in (
        (table.format("debian", "a") * 2, "two feeds have one name"),
        (table.format("Debian!", "a"), "feeds.0.name"),
        (table.format("debian", "https://ada:secret@127.0.0.1/"), "feeds.0.place"),
        (table.format("debian", "ftp://127.0.0.1/"), "feeds.0.place"),
        ('feeds = "x"\n', "feeds"),
    ):
        config.write_text(text)
        with pytest.raises(SettingsError, match=words) as caught:
            load(config)
        assert "secret" not in caught.value.message


def test_places_for_old_files_are_one_or_several(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "toweros.toml"
    config.write_text(
        'inputs = ["usb", "http://127.0.0.1/x"]\nsnapshot = "http://127.0.0.1/one http://127.0.0.1/two"\n'
    )
    found = load(config)
    assert found.inputs == (str(tmp_path / "usb"), "http://127.0.0.1/x")
    assert found.snapshot == ("http://127.0.0.1/one", "http://127.0.0.1/two")
    monkeypatch.setenv("TOWEROS_INPUTS", "/a /b")
    assert load(config).inputs == ("/a", "/b")
    with pytest.raises(SettingsError, match="snapshot"):
        load(config, snapshot="/a/folder")


@pytest.mark.parametrize("name", ["server", "link", "snapshot", "inputs"])
def test_no_password_goes_into_an_address_that_others_see(name: str, tmp_path: Path) -> None:
    """Boxes, a forge, a log: and it would not even be sent."""
    config = tmp_path / "toweros.toml"
    config.write_text(f'{name} = "https://ada:s3cret@files.example/x"\n')
    with pytest.raises(SettingsError, match=f"{name}: .*no user and no password") as caught:
        load(config)
    assert "s3cret" not in f"{caught.value} {caught.value.hint}"
    config.write_text(f'{name} = "https://files.example/x@y"\n')
    load(config)


@pytest.mark.parametrize("git", ["folder", "file", "dangling link"])
def test_a_file_that_a_commit_may_have_brought_counts_if_it_is_named(
    git: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever looks at somebody's branch types commands in it, and settings name keys, servers and databases."""
    below = tmp_path / "fleet" / "boxes"
    below.mkdir(parents=True)
    (below / "toweros.toml").write_text('state = "theirs"\n')
    monkeypatch.chdir(below)
    assert load().state == below / "theirs"
    mark = tmp_path / "fleet" / ".git"
    {"folder": mark.mkdir, "file": mark.touch, "dangling link": lambda: mark.symlink_to("nowhere")}[git]()
    with pytest.raises(SettingsError, match=r"toweros\.toml: .*/fleet is a clone") as raised:
        load()
    assert raised.value.hint and "--config toweros.toml" in raised.value.hint
    assert load(Path("toweros.toml")).state == below / "theirs"
    monkeypatch.setenv("TOWEROS_CONFIG", "toweros.toml")
    assert load().state == below / "theirs"
