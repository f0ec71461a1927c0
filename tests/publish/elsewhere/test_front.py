"""nginx in front of the update server (contrib/nginx/toweros-files.conf): a real nginx, a real box."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

import pytest
import requests

from gitops.lab.hardware import free_port
from gitops.publish.elsewhere.kinds import kind_of
from gitops.publish.elsewhere.place import Folder
from gitops.server.boxes import fetching
from gitops.server.boxes.fetching import SCHEME
from gitops.server.busy import LEAST, MOST, Queue
from tests.kit.elsewhere import Copies, Origin, process
from tests.kit.nginx import nginx
from tests.kit.nocs import box_at, settle


@pytest.fixture
def copies(tmp_path: Path, origin: Origin) -> Copies:
    made = Copies(origin, Folder("front", tmp_path / "out"))
    made.once()
    return made


@contextmanager
def before(folder: Path, server: str, more: Mapping[str, str] = MappingProxyType({})) -> Iterator[str]:
    """nginx in front of a server. `more`: what an operator changes in the file besides."""
    port = free_port()
    ours = {
        "listen 80;": f"listen 127.0.0.1:{port};",
        "127.0.0.1:8080": server.removeprefix("http://"),
        "127.0.0.1:8081": server.removeprefix("http://"),
        "/srv/toweros;": f"{folder / 'out'};",
    }
    with process(nginx(folder, "toweros-files.conf", {**ours, **more}), port, folder / "nginx.log"):
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def front(tmp_path: Path, origin: Origin) -> Iterator[str]:
    with before(tmp_path, origin.url) as url:
        yield url


def test_nginx_hands_out_the_folder_and_passes_on_the_rest(
    tmp_path: Path, origin: Origin, copies: Copies, front: str
) -> None:
    box = box_at(front, tmp_path / "box", (origin.kit.folder / "keys/1.root.json").read_bytes())
    origin.store.boxes.enroll("demo-1", box.key.public_key().public_bytes_raw().hex())
    assert settle(box).boot.sequence == 8 and origin.reported() == 8 and origin.content() == []
    for path in copies.place.listed():
        ours, theirs = requests.get(f"{front}/{path}", timeout=20), requests.get(f"{origin.url}/{path}", timeout=20)
        assert ours.content == theirs.content and (kind := kind_of(path)), path
        assert (ours.headers["content-type"], ours.headers["cache-control"]) == (kind.type, kind.cache), path
    stamp = f"{front}/metadata/timestamp.json"
    condition = {"If-None-Match": requests.get(stamp, timeout=20).headers["etag"]}
    assert requests.get(stamp, headers=condition, timeout=20).status_code == 304
    layer = next(path for path in copies.place.listed() if path.endswith(".zst"))
    copies.place.remove(layer)
    assert requests.get(f"{front}/{layer}", timeout=20).ok and f"GET /{layer}" in origin.asked, "it knows best"
    assert requests.get(f"{front}/layers/../../fleet/keys/online.key", timeout=20).status_code == 404
    assert requests.put(f"{front}/{layer}", b"x", timeout=20).status_code == 403
    assert requests.get(f"{front}/healthz", timeout=20).text == "ok\n"


def test_where_only_boxes_fetch_nginx_asks_the_server_of_each_file_and_hands_it_out_itself(
    tmp_path: Path, origin: Origin, copies: Copies
) -> None:
    """The lines of the file that say `auth_request`, without their #."""
    root = (origin.kit.folder / "keys/1.root.json").read_bytes()
    closed = {"# auth_request": "auth_request"}
    with origin.served(fetch="boxes"), before(tmp_path, origin.url, closed) as front:
        origin.asked.clear()
        box = box_at(front, tmp_path / "box", root)
        origin.store.boxes.enroll("demo-1", box.key.public_key().public_bytes_raw().hex())
        assert settle(box).boot.sequence == 8 and origin.reported() == 8
        assert "GET /api/v1/fetch" in origin.asked and origin.content() == [], "the files are nginx's"

        for path in copies.place.listed():
            asked = [requests.get(f"{front}/{path}", timeout=20), requests.head(f"{front}/{path}", timeout=20)]
            asked.append(requests.get(f"{front}//{path}", timeout=20))
            open_ = path.startswith("metadata/")
            assert {each.status_code for each in asked[:2]} == ({200} if open_ else {401}), path
            assert open_ or asked[2].status_code in (401, 404), path
            assert open_ or all(each.headers["WWW-Authenticate"].startswith(SCHEME) for each in asked[:2]), path
        absent = requests.get(f"{front}/layers/{'0' * 64}", timeout=20)
        assert absent.status_code == 401, "also what is not in the folder"
        assert requests.get(f"{front}/toweros-fetch", timeout=20).status_code == 404


def test_a_server_that_is_too_busy_to_be_asked_says_so_through_nginx(
    tmp_path: Path, origin: Origin, copies: Copies, monkeypatch: pytest.MonkeyPatch
) -> None:
    """nginx says 500 where it asks and is told 503; a box would come again at once."""
    monkeypatch.setattr(fetching, "Queue", lambda at_a_time: Queue(at_a_time, most=-at_a_time))
    layer = next(path for path in copies.place.listed() if path.endswith(".zst"))
    closed = {"# auth_request": "auth_request"}
    with origin.served(fetch="boxes"), before(tmp_path, origin.url, closed) as front:
        for path in (layer, f"attestations/{'ab' * 32}.json"):
            answers = [requests.get(f"{front}/{path}", timeout=20) for _ in range(20)]
            assert {each.status_code for each in answers} == {503}
            told = {int(each.headers["retry-after"]) for each in answers}
            assert len(told) > 1 and LEAST <= min(told) <= max(told) <= MOST
        assert requests.get(f"{front}/metadata/timestamp.json", timeout=20).ok


def test_from_where_somebody_comes_is_what_nginx_saw_and_not_what_they_wrote(front: str) -> None:
    """Else whoever is far away says that they are on this machine, where passwords count without TLS."""
    for said in ("192.0.2.7", "127.0.0.1, 192.0.2.7"):
        page = requests.get(f"{front}/login", headers={"X-Forwarded-For": said}, timeout=20)
        assert page.status_code == 200 and "not encrypted" not in page.text, said
    page = requests.get(f"{front}/login", headers={"X-Forwarded-Proto": "https"}, timeout=20)
    assert "__Host-" not in page.headers["set-cookie"]
