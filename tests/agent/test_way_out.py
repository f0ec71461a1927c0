"""A box whose server is behind a proxy, with a certificate of the site's own authority: real ones, on real links."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from toweros_agent.wiring.way_out import WayOut

from gitops.model.network.wiring import Proxy, Wiring
from tests.kit.authority import Authority
from tests.kit.initrd import initrd
from tests.kit.wires import Wires, until

CHECKOUT = Path(__file__).parents[2]
PROXY, SERVER = "192.0.2.1", "198.51.100.1"
"""The box has a way to the first alone."""
SERVE = """
import http.server, ssl, sys
server = http.server.ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), http.server.SimpleHTTPRequestHandler)
if len(sys.argv) > 3:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[3])
    server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""
ASK = """
import sys, time
from pathlib import Path
from toweros_agent.wiring.way_out import WayOut
from toweros_agent.offer.net import Http, NetError
for etc in sys.argv[3:]:
    for url in sys.argv[1:3]:
        try:
            print(Http(lambda: None, time.sleep, 5, WayOut.read(Path(etc))).get(url, 1000)[2].decode())
        except NetError as error:
            print(error)
"""


@pytest.fixture
def wires(tmp_path: Path) -> Iterator[Wires]:
    """A proxy and, behind it, a server with what `served` holds, by HTTP and HTTPS."""
    served = tmp_path / "served"
    served.mkdir()
    (served / "hello").write_text("from behind the proxy")
    authority = Authority()
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "ca.crt").write_text(authority.pem)
    authority.server(SERVER, tmp_path / "server.pem")
    config = f'Port 3128\nListen {PROXY}\nAllow 192.0.2.0/24\nConnectPort 443\nLogFile "{tmp_path}/proxy.log"\n'
    (tmp_path / "proxy.conf").write_text(config)
    with Wires() as made:
        made.connect("eth0", "far0")
        made.box("ip address add 192.0.2.10/24 dev eth0 && ip link set eth0 up")
        made.far(f"ip address add {PROXY}/24 dev far0 && ip address add {SERVER}/32 dev lo")
        made.far.start("tinyproxy", "-d", "-c", str(tmp_path / "proxy.conf"))
        for words in (["80"], ["443", str(tmp_path / "server.pem")]):
            serve = [sys.executable, "-c", SERVE, SERVER, *words]
            made.far.start("sh", "-c", 'cd "$0" && exec "$@"', str(served), *serve)
        listening = "ss -tln | grep -c -e :3128 -e :80 -e :443"
        until(lambda: made.far(listening, check=False) == "3\n")
        yield made


def test_the_agent_and_the_initrd_fetch_through_a_proxy(wires: Wires, tmp_path: Path) -> None:
    proxy, authority = f"http://{PROXY}:3128", (tmp_path / "etc" / "ca.crt").read_text()
    through = Wiring(proxy=Proxy(proxy, proxy), ca=authority)
    exempt = Wiring(proxy=Proxy(proxy, proxy, ("198.51.100.0/24",)), ca=authority)
    folders = []
    for wiring in (through, Wiring(ca=authority), exempt, Wiring(proxy=through.proxy)):
        folders.append(tmp_path / f"etc-{len(folders)}")
        folders[-1].mkdir()
        (folders[-1] / "network").write_text(wiring.text())
        if wiring.ca:
            (folders[-1] / "ca.crt").write_text(wiring.ca)
    words = " ".join([f"http://{SERVER}/hello https://{SERVER}/hello", *map(str, folders)])
    said = wires.box(f"PYTHONPATH={CHECKOUT}/pkg/agent {sys.executable} -c '{ASK}' {words}").splitlines()
    assert said[:2] == ["from behind the proxy"] * 2
    assert all("Network is unreachable" in line for line in said[2:6])
    assert said[6] == "from behind the proxy" and "CERTIFICATE_VERIFY_FAILED" in said[7], "a stranger's certificate"
    # curl in place of busybox' wget, which dies of any proxy in Debian 12 (1.35), and takes it in a box (1.37).
    wget = 'wget() { curl --silent --fail --output "$8" "$9"; }'
    fetch = f"say() {{ :; }}; arm_watchdog() {{ :; }}; dhcp_somewhere() {{ :; }}; {wget}\nfetch /hello"
    got = tmp_path / "got"
    values = {"NET": through.word, "SERVER": f"http://{SERVER}"}
    initrd("busybox sh", tmp_path, f"{fetch} {got}", within=wires.box.inside, **values)
    assert got.read_text() == "from behind the proxy"


EXEMPT = ("cache.site.example", ".lab.example", "192.0.2.0/24", "2001:db8::/32")


def test_what_is_exempt_or_this_machine_itself_is_asked_directly(tmp_path: Path) -> None:
    (tmp_path / "network").write_text(Wiring(proxy=Proxy("http://p:1", "http://q:2", EXEMPT)).text())
    way = WayOut.read(tmp_path)
    for host in ("127.0.0.1", "::1", "localhost", "cache.site.example", "A.lab.example.", "192.0.2.9", "2001:db8::7"):
        assert way.proxy("http", host) is None, host
    assert way.proxy("http", "xcache.site.example") == ("p", 1) and way.proxy("https", "198.51.100.1") == ("q", 2)
    assert way.authorities is None


def test_a_file_that_cannot_be_read_costs_the_box_no_agent(tmp_path: Path) -> None:
    (tmp_path / "network").write_bytes(
        b"\xff\xfe\nproxy\nproxy http\nproxy http http://[::\nexempt ///\nproxy https nowhere\n"
    )
    assert WayOut.read(tmp_path).proxy("http", "192.0.2.1") is None
    assert WayOut.read(tmp_path / "none") == WayOut()
