"""`toweros server`: several of them on one store, without a controller; `toweros store copy`: to another database."""

import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gitops.model import Health, Phase, Report, canonical
from gitops.store import Store
from gitops.store.notes.documents import Status
from tests.kit.contracts import good
from tests.kit.databases import both
from tests.kit.published import kit

TOWEROS = Path(sys.executable).parent / "toweros"
QUIET = {**os.environ, "NO_COLOR": "1"}


@contextmanager
def serving(config: Path) -> Iterator[str]:
    """A server of its own, on any free port; gives its URL."""
    words = [TOWEROS, "server", "--listen", "127.0.0.1:0", "--people-listen", "127.0.0.1:0", "-c", config]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env=QUIET) as child:
        assert child.stderr
        lines: list[str] = []
        try:
            for line in child.stderr:
                lines.append(line)
                if url := re.search(r"http://\S+", line):
                    yield url[0]
                    break
            else:
                pytest.fail("".join(lines))
        finally:
            child.terminate()
            assert child.wait(30) == 0


def settings(folder: Path, database: str) -> Path:
    config = folder / "toweros.toml"
    config.write_text(f'state = "state"\ndatabase = "{database}"\n')
    return config


@both
def test_several_servers_serve_one_store_and_take_each_report_once(tmp_path: Path, database: str) -> None:
    here = kit(tmp_path)
    here.publisher.publish([here.publication("demo-1", 1)])
    store, key = Store.open(tmp_path / "state", database), Ed25519PrivateKey.generate()
    store.boxes.enroll("demo-1", key.public_key().public_bytes_raw().hex())
    text = canonical(good("report", "first-boot")).decode()
    body = canonical({"report": text, "signature": key.sign(text.encode()).hex()})
    codes = []
    with serving(settings(tmp_path, database)) as one, serving(tmp_path / "toweros.toml") as two:
        for url in (one, two):
            assert (
                urllib.request.urlopen(f"{url}/metadata/timestamp.json").read()
                == (store.paths.metadata / "timestamp.json").read_bytes()
            )
            box = good("report", "first-boot")["box"]
            store.boxes.enroll(box, key.public_key().public_bytes_raw().hex())
            try:
                codes.append(urllib.request.urlopen(f"{url}/api/v1/boxes/{box}/report", body).status)
            except urllib.error.HTTPError as error:
                codes.append(error.code)
    assert codes == [204, 409]


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_everything_moves_from_sqlite_to_postgresql(tmp_path: Path, database: str) -> None:
    here = kit(tmp_path)
    publication, store = here.publication("demo-1", 1), here.store
    with store.lease.held():
        store.offers.save_candidate(publication, "key")
        store.offers.promote(["demo-1"])
        store.notes.put(Status(polled=1))
    store.boxes.enroll("demo-1", "ab" * 32)
    store.boxes.save_report(Report("demo-1", "b", 3, 0, "1", 1, "ab" * 32, "cd" * 32, Phase.IDLE, Health.HEALTHY))
    store.events.add("demo-1", "Normal", "One", "")
    words = [TOWEROS, "store", "copy", "-c", settings(tmp_path, database)]
    done = subprocess.run(words, capture_output=True, text=True, env=QUIET)
    assert done.returncode == 0, done.stderr
    new = Store.open(tmp_path / "state", database)
    assert list(new.offers.each()) == [publication] and list(new.offers.made()) == list(store.offers.made())
    assert new.states.all() == store.states.all() and new.notes.get(Status) == Status(polled=1)
    assert new.boxes.row("demo-1") == store.boxes.row("demo-1")
    assert new.boxes.report("demo-1") == store.boxes.report("demo-1")
    new.events.add("demo-1", "Normal", "Two", "")
    assert [event.reason for event in new.events.latest()] == ["Two", "One"]
    with new.lease.held():
        pass
    again = subprocess.run(words, capture_output=True, text=True, env=QUIET)
    assert again.returncode == 1 and "not empty" in again.stderr
