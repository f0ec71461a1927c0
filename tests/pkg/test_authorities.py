"""A site's own authority: who on a box believes it, and who need not, against a server that it vouches for."""

import subprocess
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from ssl import PROTOCOL_TLS_SERVER, SSLContext

import pytest

from gitops.assemble.toolbox import Toolbox
from tests.kit import built
from tests.kit.authority import Authority
from tests.kit.init import INIT

SYSTEM = Path("/etc/ssl/certs/ca-certificates.crt")
LAYER = bytes(range(256)) * 4096


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """Its URL; `etc/ca.crt` is the authority's."""
    authority, served = Authority(), tmp_path / "served"
    for folder in (served, tmp_path / "etc"):
        folder.mkdir()
    (served / "layer").write_bytes(LAYER)
    (tmp_path / "etc" / "ca.crt").write_text(authority.pem)
    authority.server("127.0.0.1", tmp_path / "server.pem")

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *args: object) -> None:
            super().__init__(*args, directory=str(served))  # type: ignore[arg-type]

        def log_message(self, *_: object) -> None:
            pass

    context = SSLContext(PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as made:
        made.socket = context.wrap_socket(made.socket, server_side=True)
        threading.Thread(target=made.serve_forever, daemon=True).start()
        yield f"https://127.0.0.1:{made.server_address[1]}"
        made.shutdown()


def host(folder: Path, work: str, bundle: Path = SYSTEM) -> str:
    """What `work` says after init's own function, in a mount namespace that stands for the host."""
    text = (INIT / "boot").read_text().replace("\nmain\n", "\n").replace("/usr/lib/toweros/common.sh", "/dev/null")
    values = f"HANDOVER={folder} BUNDLE={bundle} AUTHORITIES={folder}/etc/ca.crt"
    (folder / "boot").write_text(f"{text}\nsay() {{ echo $*; }}\n{values}\nbelieve_authorities\n{work}\n")
    command = ["unshare", "--mount", "busybox", "sh", folder / "boot"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


FETCH = "curl --silent --show-error --output {0}/got {1}/layer 2>&1; echo $?"
UNKNOWN = "60"
"""curl(1): whose certificate cannot be proven."""


def test_what_speaks_tls_on_the_host_believes_the_authority_and_still_the_usual_ones(
    server: str, tmp_path: Path
) -> None:
    fetch = FETCH.format(tmp_path, server)
    said = host(tmp_path, f"{fetch}; grep -c BEGIN {SYSTEM}; (echo x >>{SYSTEM}) 2>&1 || true").splitlines()
    assert said[:2] == ["0", str(SYSTEM.read_text().count("BEGIN") + 1)] and "Read-only" in said[2], said
    assert (tmp_path / "got").read_bytes() == LAYER
    (tmp_path / "etc" / "ca.crt").unlink()
    assert host(tmp_path, fetch).splitlines()[-1] == UNKNOWN, "without `ca:` nobody believes it"


def test_a_host_without_a_bundle_or_a_place_for_one_starts_all_the_same(server: str, tmp_path: Path) -> None:
    assert host(tmp_path, "echo started", tmp_path / "nothing") == "started\n"
    said = host(tmp_path, "echo started").splitlines()
    assert said == ["started"]
    (tmp_path / "ca-certificates.crt").unlink()
    (tmp_path / "ca-certificates.crt").mkdir()
    assert "agent and the engine alone" in host(tmp_path, "echo started") and "started" in said


@pytest.mark.e2e
def test_the_initrd_fetches_by_tls_from_whoever_has_the_bytes_of_the_digest(server: str, tmp_path: Path) -> None:
    """Nobody's certificate is looked at there: a layer is proven by its root, a document by its digest (ADR 79)."""
    store, image = built.store(), built.image("pkg/initrd")
    Toolbox.unpack(store, image)
    root = store.paths.toolbox / image.key
    wget = f"chroot {root} /usr/bin/busybox wget -q -c -Y on -T 30 -O - {server}/layer"
    script = f"mount -t proc proc {root}/proc && mount --bind /dev {root}/dev && {wget}"
    done = subprocess.run(["unshare", "--mount", "sh", "-c", script], capture_output=True, timeout=60)
    assert done.stdout == LAYER, done.stderr
