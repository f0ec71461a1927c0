"""Locked files: from a mirror once, by their digest only, and each way in which that fails has a name."""

import functools
import http.server
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gitops.builders import inputs
from gitops.builders.inputs import fetch_inputs
from gitops.builders.mirrors import Mirror
from gitops.errors import BuildError
from gitops.model import LockedFile, sha256
from gitops.store import Store
from tests.kit.fleets import PACKAGES, load

DEB = b"not really a Debian package, which nothing here opens"
LOCKED = LockedFile("deb", "thing", "1", sha256(DEB), len(DEB), "pool/thing_1_amd64.deb")
OWN = replace(load(PACKAGES)["pkg/hello"], lock=(LOCKED,))


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of a mirror on loopback, which the build is configured with."""
    folder = tmp_path / "mirror"
    (folder / "pool").mkdir(parents=True)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        here = Mirror(f"http://127.0.0.1:{server.server_port}/", "trixie")
        monkeypatch.setattr(inputs, "mirrors", lambda: (here,))
        yield folder
        server.shutdown()


def test_inputs_come_from_the_mirror_once(tmp_path: Path, mirror: Path) -> None:
    (mirror / LOCKED.path).write_bytes(DEB)
    store = Store.open(tmp_path / "s")
    fetch_inputs(store, OWN)
    assert store.blobs.read(LOCKED.sha256) == DEB
    (mirror / LOCKED.path).unlink()
    fetch_inputs(store, OWN)


@pytest.mark.parametrize("data", [DEB[:-1], DEB + b"x", b"", DEB.upper()])
def test_a_wrong_input_is_refused_and_not_kept(tmp_path: Path, mirror: Path, data: bytes) -> None:
    (mirror / LOCKED.path).write_bytes(data)
    store = Store.open(tmp_path / "s")
    with pytest.raises(BuildError, match="is not what"):
        fetch_inputs(store, OWN)
    assert not store.blobs.has(LOCKED.sha256) and not store.blobs.has(sha256(data))


def test_an_input_that_is_gone_says_how_to_go_on(tmp_path: Path, mirror: Path) -> None:
    with pytest.raises(BuildError, match="gone from the mirrors") as caught:
        fetch_inputs(Store.open(tmp_path / "s"), OWN)
    assert "toweros lock pkg/hello" in caught.value.hint


def test_a_mirror_that_is_away_is_no_reason_to_lock_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs, "mirrors", lambda: (Mirror("http://127.0.0.1:9/", "trixie"),))
    with pytest.raises(BuildError, match="cannot be fetched") as caught:
        fetch_inputs(Store.open(tmp_path / "s"), OWN)
    assert "lock" not in caught.value.hint
