"""What machines fetch that the network starts: by MAC or UUID, and nothing for strangers."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from gitops.assemble.boot import ipxe
from gitops.server import create_app
from gitops.settings import Settings
from gitops.store import Store
from gitops.store.notes.netboot import BootSets, Starts
from tests.kit.netboot import MAC, NEW, OLD, UUID, Diskless, boot_set

DASHED = MAC.replace(":", "-")
"""As iPXE's `hexhyp` writes it."""


@pytest.fixture
def box(tmp_path: Path) -> Diskless:
    made = Diskless(Store.open(tmp_path))
    made.offer(NEW, OLD)
    return made


@pytest.fixture
def web(box: Diskless) -> Iterator[TestClient]:
    with TestClient(create_app(box.store, Settings(state=box.store.paths.root))) as client:
        yield client


def script(web: TestClient, query: str) -> str:
    return web.get(f"/boot/box.ipxe?{query}").text


@pytest.mark.parametrize(
    "query", [f"mac={DASHED}&uuid=", f"mac=&uuid={UUID}", f"mac=52-54-00-00-00-99&uuid={UUID.upper()}"]
)
def test_a_box_is_known_by_its_mac_or_uuid(web: TestClient, box: Diskless, query: str) -> None:
    made = boot_set(box.store, NEW)
    assert script(web, query) == ipxe.script(
        "demo-1", 8, f"files/{made.kernel.sha256}", f"files/{made.initrd.sha256}", "quiet", f"files/{made.image.sha256}"
    )
    assert web.get(f"/boot/files/{made.kernel.sha256}").content == f"kernel {NEW}".encode()


def test_the_first_script_asks_with_what_every_machine_is_known_by(web: TestClient) -> None:
    assert web.get("/boot/boot.ipxe").text == ipxe.FIRST
    assert ":" not in ipxe.FIRST.split("box.ipxe?")[1].split("&")[0].replace(":hexhyp}", "}"), "it were a scheme"


@pytest.mark.parametrize(
    "query",
    ["", "mac=52-54-00-00-00-99", f"mac={DASHED}x", "mac=%0Areboot", "uuid=%24%7Bnet0%7D", f"mac={MAC}&mac=x", "x=1",
     "mac=" + "a" * 5000],
)  # fmt: skip
def test_a_stranger_gets_one_text_whatever_it_asks_and_leaves_nothing(
    web: TestClient, box: Diskless, query: str
) -> None:
    assert script(web, query) == ipxe.STRANGER
    assert box.store.notes.each(Starts) == {}


def test_the_esp_of_a_box_is_handed_out_under_its_name_and_may_change(web: TestClient, box: Diskless) -> None:
    answer = web.get("/boot/demo-1.img")
    assert (answer.content, answer.headers["content-type"]) == (f"image {NEW}".encode(), "application/vnd.efi.img")
    assert answer.headers["cache-control"] == "no-cache"
    assert web.get("/boot/demo-1.img", headers={"range": "bytes=0-4"}).content == b"image"


def test_a_box_that_was_installed_is_sent_to_its_own_disk(web: TestClient, box: Diskless) -> None:
    """iPXE and the firmware go on to what they start next; three starts later it is installed again."""
    sets = box.store.notes.get(BootSets, box.name)
    assert sets
    files = box.store.blobs.put(b"for the disk")
    box.store.notes.put(BootSets(tuple(replace(each, files=files) for each in sets.sets), int(time.time())), box.name)
    assert "kernel" in script(web, f"mac={DASHED}")
    box.says(int(time.time()) + 1, "installed", NEW, entry="toweros-8.efi")
    assert script(web, f"mac={DASHED}") == ipxe.OWN_DISK
    assert web.get("/boot/demo-1.img").status_code == 404
    assert web.get(f"/boot/files/{files.sha256}").content == b"for the disk"


def test_who_only_looks_is_not_counted(web: TestClient, box: Diskless) -> None:
    """A firmware asks for the size first."""
    assert web.head("/boot/demo-1.img").headers["content-length"] == str(len(f"image {NEW}"))
    assert web.head(f"/boot/box.ipxe?mac={DASHED}").status_code == 200
    assert box.store.notes.get(Starts, "demo-1") is None
    web.get("/boot/demo-1.img")
    web.get(f"/boot/box.ipxe?mac={DASHED}")
    kept = box.store.notes.get(Starts, "demo-1")
    assert kept and len(kept.starts) == 1, "twice within a minute is one start"


@pytest.mark.parametrize(
    "path", ["/boot/nobody.img", "/boot/", "/boot/../toweros.db", "/boot/demo-1", "/boot/files/demo-1.img",
             "/boot/files/" + "0" * 64, "/boot/files/..%2f..%2ftoweros.db", "/boot/Demo-1.img"],
)  # fmt: skip
def test_nothing_else_is_served(web: TestClient, path: str) -> None:
    assert web.get(path).status_code == 404


def test_a_line_that_ipxe_cannot_pass_on_starts_nothing_by_bios(web: TestClient, box: Diskless) -> None:
    found = box.store.notes.get(BootSets, "demo-1")
    assert found
    box.store.notes.put(BootSets((replace(found.sets[0], trouble="iPXE cannot"), *found.sets[1:])), "demo-1")
    assert f"files/{found.sets[1].kernel.sha256}" in script(web, f"mac={DASHED}"), (
        "what ran before is better than nothing"
    )
    assert web.get("/boot/demo-1.img").content == f"image {NEW}".encode()
    box.store.notes.put(BootSets((replace(found.sets[0], trouble="iPXE cannot"),)), "demo-1")
    assert script(web, f"mac={DASHED}") == ipxe.STRANGER
