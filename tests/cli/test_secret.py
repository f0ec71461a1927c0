"""`toweros box secret`: over a real ssh onto the box's disk, and nowhere else; and onto a new disk."""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from gitops.cli.media.box_image import image
from gitops.cli.reaching.login import login
from gitops.cli.reaching.secret import secret
from gitops.errors import ProcessError, TowerosError
from gitops.lab.stand_in import StandIn
from gitops.settings import Settings
from tests.kit.published import kit
from tests.simulators.sshd import Sshd

WORDS = "correct horse battery staple"
INSIDE = """#!/bin/sh
exec unshare --mount sh -c 'mount --bind {disk} /run && eval "$SSH_ORIGINAL_COMMAND"'
"""


@dataclass
class Box:
    """`disk` is its /run; what is logged of commands is in `log`."""

    disk: Path
    key: Path
    log: Path

    def has(self) -> dict[str, tuple[str, int]]:
        folder = self.disk / "toweros" / "disk" / "secrets"
        return {path.name: (path.read_text(), path.stat().st_mode & 0o777) for path in folder.iterdir()}


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Box]:
    made = kit(tmp_path)
    config = tmp_path / "toweros.toml"
    config.write_text(f'repository = "{tmp_path}"\nstate = "{made.store.paths.root}"\nkeys = "{tmp_path / "keys"}"\n')
    monkeypatch.setenv("TOWEROS_CONFIG", str(config))
    disk = tmp_path / "run"
    (disk / "toweros" / "disk").mkdir(parents=True)
    (disk / "toweros" / "secrets").mkdir()
    sshd = Sshd(tmp_path / "sshd")
    inside = tmp_path / "inside"
    inside.write_text(INSIDE.format(disk=disk))
    inside.chmod(0o755)
    with (sshd.folder / "config").open("a") as file:
        file.write(f"ForceCommand {inside}\n")
    folder = StandIn(Settings(state=made.store.paths.root), "demo-1").folder
    folder.mkdir(parents=True)
    (folder / "ports.json").write_text(json.dumps({"22": sshd.port}))
    with sshd:
        yield Box(disk, sshd.user_key, sshd.folder / "log")


def test_a_secret_comes_from_a_file_onto_the_box_alone_and_goes_again(
    box: Box, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "words").write_text(WORDS + "\n")
    secret("demo-1", "site-7", file=tmp_path / "words", identity=box.key)
    assert box.has() == {"site-7": (WORDS + "\n", 0o600)}
    said = capfd.readouterr()
    assert (
        WORDS not in said.out + said.err + box.log.read_text() and "the secret site-7 is there" in said.out + said.err
    )
    found = subprocess.run(["grep", "-rl", WORDS, str(tmp_path / "state")], capture_output=True, text=True, check=False)
    assert found.stdout == ""
    secret("demo-1", "site-7", drop=True, identity=box.key)
    assert box.has() == {}


def test_what_is_no_secret_is_told(box: Box, tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "large").write_text("x" * 17000)
    for name, file, told in (
        ("Site 7", "empty", "no name of a secret"),
        ("../key", "empty", "no name of a secret"),
        ("site-7", "empty", "there is nothing"),
        ("site-7", "large", "has more than"),
        ("site-7", "none", "No such file"),
    ):
        with pytest.raises(TowerosError, match=told):
            secret("demo-1", name, file=tmp_path / file, identity=box.key)
    with pytest.raises(ProcessError):
        (tmp_path / "words").write_text(WORDS)
        secret("demo-1", "site-7", file=tmp_path / "words", identity=box.key.with_name("other"))


def test_a_medium_takes_no_secret(box: Box, tmp_path: Path) -> None:
    """It is for whoever has it."""
    with pytest.raises(TowerosError, match="no secret goes onto one"):
        image("demo-1", out=tmp_path / "box.iso", secret=["site-7=/dev/null"])


def test_whoever_answers_at_a_box_s_address_for_the_first_time_hears_no_secret(tmp_path: Path) -> None:
    """A first login is for people, who compare the host's key."""
    words = login(Settings(state=tmp_path), "demo-1", None, "192.0.2.7", known=True)
    assert "StrictHostKeyChecking=yes" in words and "StrictHostKeyChecking=accept-new" not in words
    assert "StrictHostKeyChecking=accept-new" in login(Settings(state=tmp_path), "demo-1", None, "192.0.2.7")
