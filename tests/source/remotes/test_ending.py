"""A remote that is never silent and never done: every question to it ends. Real sockets on the loopback."""

import http.server
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import pygit2
import pytest

from gitops.errors import SourceError
from gitops.source.clone import remote
from gitops.source.clone.remote import Access, download, list_heads
from gitops.source.remotes import asking, ending
from tests.kit.authority import Authority
from tests.simulators.sshd import Sshd

COMMIT = b"1" * 40
PAUSE = 0.002


def packet(data: bytes) -> bytes:
    return b"%04x" % (len(data) + 4) + data


ENDLESS = {
    "its progress": packet(b"\2working\r"),
    "that it is alive": packet(b"\1"),  # Git's own servers send it every five seconds (`uploadpack.keepAlive`)
    "that it has no commit in common": packet(b"NAK\n"),
}


class Talker(http.server.BaseHTTPRequestHandler):
    """Names one branch, and then never comes to its objects."""

    protocol_version = "HTTP/1.1"
    says = b""

    def do_GET(self) -> None:
        able = packet(COMMIT + b" HEAD\0side-band-64k ofs-delta symref=HEAD:refs/heads/main\n")
        body = (
            packet(b"# service=git-upload-pack\n") + b"0000" + able + packet(COMMIT + b" refs/heads/main\n") + b"0000"
        )
        self._begin("advertisement", ("Content-Length", str(len(body))))
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._begin("result", ("Transfer-Encoding", "chunked"))
        with suppress(OSError):
            self._chunk(packet(b"NAK\n"))
            while True:
                self._chunk(self.says)
                time.sleep(PAUSE)

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n" % len(data) + data + b"\r\n")

    def _begin(self, kind: str, length: tuple[str, str]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", f"application/x-git-upload-pack-{kind}")
        self.send_header(*length)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def talker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[type[Talker], str]]:
    """A handler, and the URL of its server, whom libgit2 believes."""
    folder, authority, handler = tmp_path_factory.mktemp("talker"), Authority(), type("Handler", (Talker,), {})
    authority.server("127.0.0.1", folder / "server.pem")
    (folder / "ca.pem").write_text(authority.pem)
    pygit2.settings.set_ssl_cert_locations(str(folder / "ca.pem"), None)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield handler, f"https://127.0.0.1:{server.server_port}/fleet.git"
        server.shutdown()


@pytest.mark.parametrize("what", ENDLESS)
def test_a_server_that_only_ever_says(
    talker: tuple[type[Talker], str], what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "SECONDS", 0.2)
    handler, url = talker
    handler.says = ENDLESS[what]
    clone = pygit2.init_repository(str(tmp_path / "clone.git"), bare=True)
    with pytest.raises(SourceError, match="takes too long to answer") as refusal:
        download(clone, Access(url), "+refs/heads/main:refs/remotes/origin/main")
    assert refusal.value.transient and [*clone.references] == []


def test_an_ssh_server_that_never_says_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other lines may come before it (RFC 4253, 4.2)."""
    monkeypatch.setattr(asking, "BOUNDS", replace(asking.BOUNDS, longest=0.2))
    clone = pygit2.init_repository(str(tmp_path / "clone.git"), bare=True)
    with closing(socket.create_server(("127.0.0.1", 0))) as server:

        def talk() -> None:
            connection, _ = server.accept()
            with suppress(OSError), connection:
                while True:
                    connection.sendall(b"in a moment\r\n")
                    time.sleep(PAUSE)

        threading.Thread(target=talk, daemon=True).start()
        with pytest.raises(SourceError, match="takes too long to answer"):
            list_heads(clone, Access(f"ssh://git@127.0.0.1:{server.getsockname()[1]}/fleet.git"))


def test_an_ssh_server_whose_refs_have_no_end_fills_no_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked for its refs, and again for objects: libgit2 keeps all that it names, in memory."""
    monkeypatch.setattr(asking, "BOUNDS", replace(asking.BOUNDS, largest=1 << 20, longest=5))
    monkeypatch.setattr(remote, "SECONDS", 5.0)
    clone = pygit2.init_repository(str(tmp_path / "clone.git"), bare=True)
    one = packet(COMMIT + b" refs/heads/main\n").decode().strip()
    with Sshd(tmp_path / "sshd") as server:
        listed = server.folder / "authorized"
        listed.write_text(f'command="yes {one}" {listed.read_text()}')
        access = Access(f"ssh://root@127.0.0.1:{server.port}/f.git", server.user_key, server.known_hosts)
        access.home(tmp_path / "home")
        for ask in (list_heads, lambda *both: download(*both, "+refs/heads/main:refs/remotes/origin/main")):
            with pytest.raises(SourceError, match="more than 1 MiB of refs") as refusal:
                ask(clone, access)
            assert "remove branches and tags" in refusal.value.hint


def test_nothing_else_is_cut() -> None:
    """Neither what was there before, nor a connection to another port."""
    with (
        closing(socket.create_server(("127.0.0.1", 0))) as ours,
        closing(socket.create_server(("127.0.0.1", 0))) as other,
    ):
        port = ours.getsockname()[1]
        before = socket.create_connection(ours.getsockname())
        with ending.cut_after(0.05, "", {port}, lambda: 1 << 20) as over:
            during, elsewhere = map(socket.create_connection, (ours.getsockname(), other.getsockname()))
            assert over.wait(5)
            assert during.recv(1) == b"", "this one was"
        for each in (before, elsewhere):
            each.settimeout(0.05)
            with pytest.raises(TimeoutError):
                each.recv(1)
            each.close()
        during.close()


@pytest.mark.parametrize("text", ["garbage\n", "127.0.0.1 ssh-ed25519 !!!\n"])
def test_a_list_of_known_hosts_that_is_none_is_told_by_its_setting(tmp_path: Path, text: str) -> None:
    (tmp_path / "hosts").write_text(text)
    clone = pygit2.init_repository(str(tmp_path / "clone.git"), bare=True)
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        access = Access(f"ssh://git@127.0.0.1:{server.getsockname()[1]}/f.git", known_hosts=tmp_path / "hosts")
        access.home(tmp_path / "home")
        with pytest.raises(SourceError, match="`ssh_known_hosts` names holds something else") as refusal:
            list_heads(clone, access)
    assert "ssh-keyscan" in refusal.value.hint


def test_what_comes_to_another_question_at_the_same_time_is_its_own() -> None:
    """The record is asked for while a branch is fetched, and another server has the same port."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port, url = server.getsockname()[1], "https://127.0.0.1/f.git"
        with (
            ending.cut_after(9, url, {port}, lambda: 1000) as small,
            ending.cut_after(9, url, {port}, lambda: 1 << 20) as large,
        ):
            ours = socket.create_connection(server.getsockname())
            server.accept()[0].sendall(bytes(9000))
            assert not small.wait(3 * ending.AGAIN) and not large.is_set()
        with ending.cut_after(9, "https://127.0.0.2/f.git", {port}, lambda: 1000) as elsewhere:
            other = socket.create_connection(server.getsockname())
            server.accept()[0].sendall(bytes(9000))
            assert not elsewhere.wait(3 * ending.AGAIN)
        with ending.cut_after(9, url, {port}, lambda: 1000) as cut:
            last = socket.create_connection(server.getsockname())
            server.accept()[0].sendall(bytes(9000))
            assert cut.wait(5) and cut.full
        for each in (ours, other, last):
            each.close()
