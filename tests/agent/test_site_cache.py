"""A site's nginx between boxes and their server (contrib/nginx/toweros-site.conf): a real nginx, real agents."""

import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from gitops.lab.hardware import free_port
from tests.kit.nginx import nginx
from tests.simulators.box import Box, Made, State, drive, make
from tests.simulators.update_server import UpdateServer

PATIENCE = 20


@pytest.fixture
def site(tmp_path: Path, server: UpdateServer) -> Iterator[str]:
    """The URL of the site's cache; its files are below `cache`."""
    port = free_port()
    ours = {
        "updates.example:8080": server.url.removeprefix("http://"),
        "listen 8080": f"listen 127.0.0.1:{port}",
        "/var/cache/nginx/toweros": str(tmp_path / "cache"),
    }
    with subprocess.Popen(nginx(tmp_path, "toweros-site.conf", ours), stderr=subprocess.PIPE) as running:
        try:
            end = time.monotonic() + PATIENCE
            while status(f"http://127.0.0.1:{port}/") != 404:
                assert running.poll() is None and time.monotonic() < end
                time.sleep(0.05)
            yield f"http://127.0.0.1:{port}"
        finally:
            running.terminate()
            running.wait(PATIENCE)


def status(url: str, method: str = "GET") -> int:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=PATIENCE) as response:
            response.read()
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def offer(server: UpdateServer, made: Made) -> None:
    for root, data in made.blobs.items():
        server.add_layer(data, root)
    server.publish(made.document, made.uki, made.addon)


def box_at(url: str, folder: Path, server: UpdateServer) -> Box:
    folder.mkdir()
    made = Box(folder, url, server.root)
    made.install(make(7))
    return made


def updated(box: Box) -> bool:
    agent = box.power_on()
    assert agent
    return drive(agent, State.REBOOTING) == State.REBOOTING


def content(server: UpdateServer) -> list[str]:
    return [path for path in server.paths() if path.startswith(("/layers/", "/targets/"))]


def test_what_one_box_fetched_the_next_one_gets_while_the_line_is_down(
    site: str, server: UpdateServer, tmp_path: Path
) -> None:
    offer(server, make(8, service=b"two" * 4096))
    assert updated(box_at(site, tmp_path / "first", server))
    fetched = content(server)
    assert fetched and len(fetched) == len(set(fetched))
    time.sleep(2.1)  # the timestamp is an old one now
    server.__exit__()
    assert updated(box_at(site, tmp_path / "second", server))
    assert content(server) == fetched


def test_a_cache_whose_files_are_all_damaged_is_mended_by_the_box_that_finds_it(
    site: str, server: UpdateServer, tmp_path: Path
) -> None:
    offer(server, make(8, service=b"two" * 4096))
    assert updated(box_at(site, tmp_path / "first", server))
    for path in (tmp_path / "cache").rglob("*"):
        if path.is_file():
            data = bytearray(path.read_bytes())
            data[-2] ^= 1
            path.write_bytes(data)
    assert updated(box_at(site, tmp_path / "second", server))


def test_a_box_s_own_repository_goes_through_and_stays_while_the_line_is_down(site: str, server: UpdateServer) -> None:
    """Where all boxes have one, nobody writes the repository that they share any more."""
    for own in ("boxes/demo-1", "boxes/new.vm", f"claims/{'a' * 64}"):
        for name in ("timestamp.json", "7.snapshot.json", "7.targets.json"):
            server.files[f"/metadata/{own}/{name}"] = f"{own} {name}".encode()
    paths = [path for path in server.files if path.startswith(("/metadata/boxes/", "/metadata/claims/"))]
    assert [status(site + path) for path in paths] == [200] * 9
    server.__exit__()
    assert [status(site + path) for path in paths] == [200] * 9
    assert status(f"{site}/metadata/boxes/%2e%2e/%2e%2e/metrics") == 404


def test_nothing_but_what_boxes_need_goes_through(site: str, server: UpdateServer) -> None:
    server.files |= {"/": b"page", "/api/v1/boxes": b"[]", "/metrics": b"x", "/layers/" + "0" * 64: b"layer"}
    for path in ("/", "/api/v1/boxes", "/metrics", "/metadata/../metrics", "/layers/../metrics"):
        assert status(site + path) in (400, 404), path
    assert status(f"{site}/layers/{'0' * 64}") == 200
    for path in ("/metadata/boxes/demo-1/2.snapshot.json", "/api/v1/remote/demo-1.00c0ffee00c0ffee/box"):
        server.files[path] = b"{}"
        assert status(site + path) == 200, path
    for path in (f"/layers/{'0' * 64}", "/metadata/timestamp.json"):
        assert status(site + path, "POST") == status(site + path, "DELETE") == 403
    assert "/metrics" not in server.paths() and status(f"{site}/api/v1/boxes/demo-1/report") == 403


def test_what_may_change_is_never_old_while_the_server_is_there_and_stays_while_it_is_not(
    site: str, server: UpdateServer
) -> None:
    """Boxes that name builders take no release without its provenance."""
    small = "/metadata/boxes/demo-1/timestamp.json"
    names = ("/metadata/timestamp.json", small, f"/attestations/{'a' * 64}.json")
    server.files |= dict.fromkeys(names, b"{}")
    assert [read(site + name) for name in names] == [b"{}"] * 3
    server.files |= dict.fromkeys(names, b"[]")
    time.sleep(3.1)  # nginx counts whole seconds
    assert [read(site + name) for name in names] == [b"[]"] * 3
    server.leave()
    time.sleep(3.1)
    assert [read(site + name) for name in names] == [b"[]"] * 3
    server.come_back()
    request = urllib.request.Request(f"{site}/api/v1/boxes/new.vm/report", b'{"report": ""}', method="POST")
    with urllib.request.urlopen(request, timeout=PATIENCE) as response:
        assert response.status == 204, "a machine without a name is heard"


def read(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=PATIENCE) as response:
        return bytes(response.read())
