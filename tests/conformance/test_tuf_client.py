"""The executable for the public conformance suite: its three commands, and that a refusal is exit code 1."""

import copy
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)

from tests.kit.servers import files

CLIENT = Path(__file__).parent / "tuf-client"
ROLES = ("root", "timestamp", "snapshot", "targets")
TOMORROW = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)


class Repository:
    """One in a folder, with one key for everything. `odd` is the name of a delegated role."""

    def __init__(self, folder: Path, odd: str = "?") -> None:
        self.folder, self._odd = folder, odd
        self._signer = CryptoSigner.generate_ed25519()
        (folder / "targets").mkdir()
        root = Root(expires=TOMORROW, consistent_snapshot=False)
        for role in ROLES:
            root.add_key(self._signer.public_key, role)
        self.first = self._signed(root, "1.root.json")

    def publish(self, version: int, content: bytes, expires: datetime = TOMORROW) -> None:
        """`file` has this content now."""
        (self.folder / "targets/file").write_bytes(content)
        odd = DelegatedRole(self._odd, [self._signer.public_key.keyid], 1, False, ["other*"])
        delegations = Delegations({self._signer.public_key.keyid: self._signer.public_key}, {self._odd: odd})
        targets = {"file": TargetFile.from_data("file", content)}
        self._signed(
            Targets(version=version, expires=TOMORROW, targets=targets, delegations=delegations), "targets.json"
        )
        self._signed(Targets(version=version, expires=TOMORROW), "%3F.json")
        meta = {"targets.json": MetaFile(version), f"{self._odd}.json": MetaFile(version)}
        self._signed(Snapshot(version=version, expires=TOMORROW, meta=meta), "snapshot.json")
        self._signed(Timestamp(version=version, expires=expires, snapshot_meta=MetaFile(version)), "timestamp.json")

    def _signed(self, signed: Root | Timestamp | Snapshot | Targets, name: str) -> bytes:
        metadata = Metadata(copy.deepcopy(signed))
        metadata.sign(self._signer)
        data = metadata.to_bytes()
        (self.folder / name).write_bytes(data)
        return data


class Client:
    def __init__(self, folder: Path, repository: Repository, url: str, asked: list[str]) -> None:
        self._folder, self._url, self.repository, self.asked = folder, url, repository, asked
        (folder / "first.json").write_bytes(repository.first)

    def run(self, *words: str) -> int:
        places = [f"--metadata-dir={self._folder / 'metadata'}", f"--metadata-url={self._url}"]
        places += [f"--target-base-url={self._url}targets", f"--target-dir={self._folder}"]
        python = {**os.environ, "PYTHON": sys.executable}
        return subprocess.run([CLIENT, *places, *words], capture_output=True, timeout=60, env=python).returncode

    def init(self) -> None:
        assert self.run("init", str(self._folder / "first.json")) == 0 and not self.asked

    def version(self, role: str) -> int:
        found: int = Metadata.from_file(str(self._folder / "metadata" / f"{role}.json")).signed.version
        return found

    def has(self) -> bytes:
        return (self._folder / "file").read_bytes()


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    served = tmp_path / "served"
    served.mkdir()
    with files(served) as (url, asked):
        yield Client(tmp_path, Repository(served), url, asked)


def test_a_target_is_brought_once_and_again_when_it_is_another(client: Client) -> None:
    client.init()
    client.repository.publish(1, b"one")
    assert client.run("refresh") == 0 and client.version("timestamp") == 1
    assert client.run("--target-name=file", "download") == 0 and client.has() == b"one"
    client.asked.clear()
    assert client.run("--target-name=file", "download") == 0
    assert not [path for path in client.asked if "targets/" in path], "it is there already"
    client.repository.publish(2, b"two")
    assert client.run("--target-name=file", "download") == 0 and client.has() == b"two"
    (client.repository.folder / "targets/file").write_bytes(b"bad")
    client.repository.publish(3, b"tri")
    (client.repository.folder / "targets/file").write_bytes(b"bad")
    assert client.run("--target-name=file", "download") == 1 and client.has() == b"two"


def test_what_is_older_or_has_run_out_is_refused_and_what_was_there_stays(client: Client) -> None:
    client.init()
    client.repository.publish(2, b"two")
    assert client.run("refresh") == 0
    client.repository.publish(1, b"one")
    assert client.run("refresh") == 1 and client.version("timestamp") == 2
    client.repository.publish(3, b"three", datetime(2020, 1, 1, tzinfo=UTC))
    assert client.run("refresh") == 1


def test_a_role_with_an_odd_name_is_asked_for_by_its_quoted_name(client: Client) -> None:
    client.init()
    client.repository.publish(1, b"one")
    assert client.run("--target-name=other", "download") == 1
    assert "/%3F.json" in client.asked
