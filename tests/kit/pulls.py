"""Pull requests of a real repository, before a forge that is played."""

import subprocess
from pathlib import Path

import pytest

from gitops.fleet import load_fleet
from gitops.model import Fleet, Revision
from gitops.settings import Settings
from gitops.source.clone.commits import LocalClone
from gitops.store import Store
from gitops.workflows.reviews.rounds import Reviews
from tests.kit.desk import TOKEN_TEXT
from tests.kit.fleets import TREE
from tests.kit.remote import Remote
from tests.simulators.forge import REPOSITORY, Forge


@pytest.fixture
def reviews(tmp_path: Path, hub: Forge) -> tuple[Reviews, Store, Remote]:
    remote = Remote(tmp_path)
    for path in TREE.entries():
        place = remote.work / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(TREE.read(path))
    remote.git("add", "-A")
    remote.git("commit", "-q", "-m", "fleet")
    remote.git("push", "-q", "-f", "origin", "HEAD:main")
    token = tmp_path / "token"
    token.write_text(TOKEN_TEXT)
    settings = Settings(
        state=tmp_path / "state",
        repository=str(remote.bare),
        forge="github",
        forge_url=hub.url,
        forge_repository=REPOSITORY,
        forge_token_file=token,
    )
    store = Store.of(settings)
    made = Reviews.of(settings, store)
    assert made
    return made, store, remote


def push_pull(remote: Remote, number: int, change: dict[str, str]) -> str:
    """A pull request's head as GitHub keeps it; returns its commit."""
    remote.git("checkout", "-q", "-B", f"topic-{number}", "origin/main")
    for path, text in change.items():
        (remote.work / path).write_text(text)
    remote.git("add", "-A")
    remote.git("commit", "-q", "-m", "topic")
    remote.git("push", "-q", "-f", "origin", f"HEAD:refs/pull/{number}/head")
    done = subprocess.run(["git", "rev-parse", "HEAD"], cwd=remote.work, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def fleet_and_revision(remote: Remote) -> tuple[Fleet, Revision]:
    """What main is."""
    clone = LocalClone(remote.bare)
    revision = clone.revision("main")
    return load_fleet(clone.tree(revision)), revision
