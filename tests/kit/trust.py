"""A controller that follows a signed repo: what it takes, and what it refuses by which name."""

import json
import subprocess
from dataclasses import asdict
from pathlib import Path

import pytest
from sqlalchemy import delete

from gitops.errors import Reason, SourceError
from gitops.source import Access, GitSource
from gitops.source.memory import StoredMemory
from gitops.source.trust.rules import source_part
from gitops.store import Store, tables
from gitops.store.notes.documents import NAMES, LastDeployed
from tests.kit.people import People
from tests.kit.remote import Remote

TAGS = 'source: {tags: "v*", sign: tag}\n'


def following(access: Access, state: Path, **options: object) -> GitSource:
    """A source as a controller starts it on a state folder."""
    store = Store.open(state)
    return GitSource(access, store.paths.source, StoredMemory(store), **options)  # type: ignore[arg-type]


def as_0_1_0_left_it(store: Store) -> Path:
    """What is deployed, in files of the clone's folder; the database knows nothing of it."""
    last = StoredMemory(store).last()
    assert last
    document = {"format": 1, "revision": asdict(last.revision), "epoch": last.epoch}
    document |= {"policy": source_part(last.policy), "states": list(last.states), "tags": last.tags}
    evidence = store.paths.source / "evidence"
    evidence.mkdir()
    for ref in last.revision.evidence:
        (evidence / ref.sha256).write_bytes(store.blobs.read(ref.sha256))
        store.blobs.remove(ref.sha256)
    with store._database.write() as connection:
        connection.execute(delete(tables.notes).where(tables.notes.c.name == NAMES[LastDeployed]))
    file = store.paths.source / "deployed.json"
    file.write_text(json.dumps(document))
    return file


class Story:
    """A remote, and a controller that follows it and trusts Ada (and Ben)."""

    def __init__(self, folder: Path, people: People, *trusted: str) -> None:
        self.remote, self.people, self.folder = Remote(folder), people, folder
        self.remote.env["GNUPGHOME"] = str(people.home)
        self.first = folder / "first_signers"
        self.first.write_text(people.allowed(*(trusted or ("ada", "ben"))))
        self.source = self.started()

    def started(self, **options: object) -> GitSource:
        access = Access(str(self.remote.bare))
        return following(access, self.folder / "state", allowed_signers=self.first, **options)

    @property
    def store(self) -> Store:
        return Store.open(self.folder / "state")

    def commit(self, text: str, by: str = "", path: str = "README.md") -> str:
        return self.remote.commit(text, *([f"-S{self.people.key(by)}"] if by else []), path=path)

    def tag(self, name: str, by: str = "ada", at: str = "HEAD", *, force: bool = False) -> None:
        options = ["-c", f"user.signingkey={self.people.key(by)}"] if by else []
        self.remote.git(*options, "tag", "-s" if by else "-a", *(["-f"] if force else []), "-m", name, name, at)
        self.push(name)

    def push(self, *refs: str) -> None:
        self.remote.git("push", "-q", "-f", "origin", *(f"refs/tags/{ref}" for ref in refs))

    def deploy(self) -> str:
        revision = self.source.poll()
        self.source.mark_deployed(revision)
        return str(revision.ref)

    def refused(self, reason: str) -> SourceError:
        """The next poll is refused by this name, also after a restart; what was deployed stays readable."""
        before = self.source.deployed()
        for source in (self.source, self.started()):
            with pytest.raises(SourceError) as caught:
                source.poll()
            assert caught.value.reason is Reason(reason), caught.value
            assert not caught.value.transient
            assert source.deployed() == before
            assert before is None or source.tree(before).read("fleet.yaml")
        return caught.value

    def push_object(self, kind: str, raw: bytes, ref: str) -> None:
        command = ["git", "hash-object", "-t", kind, "-w", "--literally", "--stdin"]
        done = subprocess.run(command, cwd=self.remote.work, env=self.remote.env, input=raw, capture_output=True)
        self.remote.git("push", "-q", "-f", "origin", f"{done.stdout.decode().strip()}:{ref}")

    def raw(self, kind: str, name: str) -> bytes:
        command = ["git", "cat-file", kind, name]
        return subprocess.run(command, cwd=self.remote.work, env=self.remote.env, capture_output=True).stdout


class PgpStory(Story):
    """Ada signs with OpenPGP; her key file is in the settings' folder."""

    def __init__(self, folder: Path, people: People, *words: str) -> None:
        super().__init__(folder, people, "ben")
        self.fingerprint = people.openpgp("ada", *words)
        self.keys = folder / "openpgp"
        self.keys.mkdir()
        self.export("ada")
        self.remote.git("config", "gpg.format", "openpgp")
        self.source = self.started()

    def started(self, **options: object) -> GitSource:
        return super().started(openpgp_keys=self.folder / "openpgp", **options)

    def export(self, name: str) -> None:
        (self.keys / f"{name}.asc").write_bytes(self.people.gpg("--armor", "--export", f"{name}@example.org"))

    def sign(self, text: str, path: str = "README.md") -> str:
        return self.remote.commit(text, f"-S{self.fingerprint}", path=path)


@pytest.fixture
def tags(tmp_path: Path, people: People) -> Story:
    """v1.0.0, signed by Ada, is deployed."""
    story = Story(tmp_path, people)
    story.commit(TAGS, path="fleet.yaml")
    story.tag("v1.0.0")
    assert story.deploy() == "v1.0.0"
    return story


@pytest.fixture
def head(tmp_path: Path, people: People) -> Story:
    """A commit on main, signed by Ada, is deployed."""
    story = Story(tmp_path, people)
    story.commit("source: {sign: head}\n", "ada", "fleet.yaml")
    assert story.deploy() == "main"
    return story
