"""Wireless networks and a modem by Debian's whole kernel and the packages as they are built, in a machine of its own.

The kernel's simulated radios (mac80211_hwsim) and hostapd are the air; a cable between two serial ports is the modem's
line, at whose far end chat, pppd and dnsmasq are modem, operator and its router, in a network namespace. One start for
all of it: no disk, no firmware, no other service.
"""

import re
import shutil
import stat
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from gitops.assemble.boot import cpio, modules
from gitops.assemble.boot.cpio import Node
from gitops.assemble.tars import tree_of
from gitops.model.network.radio import Access, Modem
from gitops.model.network.wiring import Link, Wiring
from tests.kit import built

pytestmark = [pytest.mark.e2e, pytest.mark.boot]
COLOURS = re.compile(r"\x1b\[\d*m|\r")
PASSPHRASE, PIN, PASSWORD = 'more "than" 8 # words', "4711", 'a "quoted" \\ one'
WIRING = Wiring(
    (
        Link("two", mac="02:00:00:00:01:00", addresses=("192.0.2.10/24",), access=Access("wpa2", "Site 2", "site")),
        Link("three", mac="02:00:00:00:02:00", addresses=("192.0.3.10/24",), access=Access("wpa3", "Site 3", "site")),
        Link("open", mac="02:00:00:00:03:00", addresses=("192.0.4.10/24",), access=Access("open", "Café")),
        Link("cell", modem=Modem("internet.example", "ttyS1", "sim", "box", "isp", ipv6=True)),
    )
)  # fmt: skip
HOSTAPD = f"""interface=wlan0
ssid=Site 2
hw_mode=g
channel=1
wpa=2
wpa_key_mgmt=WPA-PSK
rsn_pairwise=CCMP
wpa_passphrase={PASSPHRASE}
bss=wlan0_3
ssid=Site 3
wpa=2
wpa_key_mgmt=SAE
rsn_pairwise=CCMP
ieee80211w=2
sae_password={PASSPHRASE}
bss=wlan0_4
ssid=Café
"""
CARD = f"""TIMEOUT 300
ATZ OK
ATE0 OK
AT+CPIN? '+CPIN: SIM PIN\\r\\n\\r\\nOK'
'AT+CPIN="{PIN}"' OK
AT+CPIN? '+CPIN: READY\\r\\n\\r\\nOK'
'AT+CGDCONT=1,"IPV4V6","internet.example"' OK
'ATD*99***1#' CONNECT
"""
PAP = 'box * "a \\"quoted\\" \\\\ one" *\n'
OPERATOR = """/dev/ttyS2
115200
local
nodetach
auth
require-pap
connect "chat -f /far/card"
198.51.100.1:198.51.100.77
ifname line
ipv6 ::1,::77
ms-dns 203.0.113.53
"""
START = """#!/bin/sh
PATH=/usr/sbin:/usr/bin
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs dev /dev 2>/dev/null
mount -t tmpfs run /run; mkdir -p /run/resolvconf /run/pppd /run/netns /etc/ppp /dev/pts
for module in $(cat /etc/modules.load); do
	case $module in */mac80211_hwsim.ko) insmod $module radios=4 ;; *) insmod $module ;; esac
done
exec >/dev/ttyS0 2>&1
far() {
	/far/ld.so --library-path /far "$@"
}
cp /far/pap /etc/ppp/pap-secrets
ip netns add far
far /far/iw phy phy0 set netns name far
ip netns exec far ip link set lo up
ip netns exec far /far/ld.so --library-path /far /far/hostapd /far/hostapd.conf >/run/hostapd 2>&1 &
mount --bind /proc/sys/net/ipv6 /sysctl/ipv6
echo 0 >/sysctl/ipv6/conf/default/accept_ra  # what comes later hears no router unless somebody says so
ip netns exec far /far/ld.so --library-path /far /far/dnsmasq --no-daemon --conf-file=/dev/null --port=0 --user=root \
	--group=root --interface=line --pid-file --dhcp-leasefile=/run/leases --enable-ra \
	--dhcp-range=2001:db8:9::,ra-only,64 --ra-param=line,600 >/run/router 2>&1 &
router() {
	while sleep 1; do
		ip netns exec far ip -6 address add 2001:db8:9::1/64 dev line nodad 2>/dev/null
	done
}
router &
operator() {
	while :; do
		ip netns exec far pppd file /far/operator >>/run/operator 2>&1
	done
}
operator &
export NETWORK_LOOK=1 WIFI_SECRETS=/secrets MODEM_SECRETS=/secrets MODEM_AGAIN=1 MODEM_ECHO=1
start-dhcpcd >/run/said 2>&1 &
start-wifi >>/run/said 2>&1 &
start-modem >>/run/said 2>&1 &
wait_for() {
	for try in $(seq 90); do
		[ "$(grep -c "$2" $1)" -lt "$3" ] || return
		sleep 1
	done
	echo "LACKS $2"
}
wait_for /run/hostapd AP-STA-CONNECTED 3
for number in 2 3 4; do
	card=wlan0_$number; [ $number != 2 ] || card=wlan0
	ip netns exec far ip address add 192.0.$number.1/24 dev $card
	ping -c 2 -W 5 192.0.$number.1 >/dev/null && echo "REACHES $number"
done
wait_for /run/said "remote IP address" 1; sleep 2
ping -c 2 -W 5 198.51.100.1 >/dev/null && echo "REACHES operator"
six() {
	for try in $(seq 30); do
		ping -c 1 -W 1 2001:db8:9::1 >/dev/null && echo "REACHES $1" && return
		sleep 1
	done
}
six "operator by IPv6"
sleep 2
echo FIRST
ip -o -4 address show; ip route; ip -6 route show default; cat /run/resolvconf/resolv.conf
echo END
kill -9 $(pidof pppd | tr ' ' '\\n' | while read pid; do grep -q operator /proc/$pid/cmdline && echo $pid; done)
wait_for /run/said "remote IP address" 2
ping -c 2 -W 5 198.51.100.1 >/dev/null && echo "REACHES operator again"
six "operator by IPv6 again"
ip route; ip -6 route
far /far/iw reg set DE; sleep 1; far /far/iw reg get | grep country
echo SAID; cat /run/said; echo HOSTAPD; cat /run/hostapd; echo OPERATOR; cat /run/operator; echo ROUTER; cat /run/router
poweroff -f
"""


def of_the_far_side(*programs: str) -> Iterator[tuple[str, bytes]]:
    """This machine's programs with what they are linked to: they are no package of ours."""
    for program in programs:
        path = shutil.which(program, path="/usr/sbin:/usr/bin:/sbin:/bin")
        assert path, f"{program} is missing: see debian-packages.txt"
        yield f"far/{program}", Path(path).read_bytes()
        linked = subprocess.run(["ldd", path], capture_output=True, text=True, check=True).stdout
        for library in re.findall(r"(/\S+) \(0x", linked):
            loader = "ld-linux" in library
            yield f"far/{'ld.so' if loader else Path(library).name}", Path(library).read_bytes()


def initrd(folder: Path) -> Path:
    tree: dict[str, Node] = {}
    for package in ("pkg/wireless-regdb", "pkg/wifi", "pkg/modem", "pkg/dhcpcd"):  # whose `ip` is iproute2's
        tree |= tree_of([built.store().blobs.path(layer) for layer in built.image(package).layers])
    texts: Mapping[str, str] = {
        "init": START, "etc/toweros/network": WIRING.text(), "secrets/site": PASSPHRASE + "\n", "secrets/sim": PIN,
        "secrets/isp": PASSWORD, "far/hostapd.conf": HOSTAPD, "far/card": CARD, "far/pap": PAP,
        "far/operator": OPERATOR,
    }  # fmt: skip
    files = {path: text.encode() for path, text in texts.items()} | dict(of_the_far_side("hostapd", "iw", "dnsmasq"))
    tree |= {path: Node(stat.S_IFREG | 0o755, data=data) for path, data in files.items()}
    names = ("ppp_async", "mac80211_hwsim", "ccm", "cmac")
    tree |= modules.needed(names, built.kernel("pkg/kernel-full") / "kernel.tar")
    (folder / "initrd").write_bytes(cpio.archive(tree))
    return folder / "initrd"


def test_radios_and_a_modem_come_up_and_the_modem_again_after_it_lost_its_line(tmp_path: Path) -> None:
    cable = f"path={tmp_path / 'line'}"
    line = [f"socket,id=a,{cable},server=on,wait=off", "-serial", "chardev:a"]
    line += ["-chardev", f"socket,id=b,{cable}", "-serial", "chardev:b"]
    command = [
        "qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-machine", "pc,accel=tcg",
        "-m", "768",
        "-kernel", str(built.kernel("pkg/kernel-full") / "kernel"), "-initrd", str(initrd(tmp_path)),
        "-append", "console=ttyS0 quiet panic=-1", "-no-reboot", "-serial", "stdio", "-chardev", *line
    ]  # fmt: skip
    said = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=600, check=True).stdout
    said = COLOURS.sub("", said)
    six = ("operator by IPv6", "operator by IPv6 again")
    for place in ("2", "3", "4", "operator", "operator again", *six):
        assert f"REACHES {place}\n" in said, said
    assert "country DE: DFS-ETSI" in said, "what a country allows is known to the kernel"
    first = said.partition("FIRST\n")[2].partition("\nEND")[0]
    assert "cell    inet 198.51.100.77 peer 198.51.100.1/32" in first, said
    assert re.search(r"default via fe80::\S+ dev cell proto ra metric 5000 ", first), said
    assert "default dev cell scope link metric 5000" in first and "nameserver 203.0.113.53" in first, said
    for secret in (PASSPHRASE, PASSWORD, f'"{PIN}"'):
        assert secret not in said.partition("SAID\n")[2].partition("HOSTAPD\n")[0], said
