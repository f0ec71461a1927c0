"""VLANs and bonds by the box's own kernel, `ip` and dhcpcd: the package as it is built, in a machine of its own.

(This machine's kernel may have neither.) One start of kernel and package alone: no disk, no firmware, no other service.
"""

import re
import stat
import subprocess
from pathlib import Path

import pytest

from gitops.assemble.boot import cpio, modules
from gitops.assemble.boot.cpio import Node
from gitops.assemble.tars import tree_of
from gitops.model.network.wiring import Link, Route, Wiring
from tests.kit import built

pytestmark = [pytest.mark.e2e, pytest.mark.boot]
COLOURS = re.compile(r"\x1b\[\d*m|\r")
INITRD = Path(__file__).parents[2] / "pkg" / "initrd" / "init"
MACS = ("52:54:00:00:00:01", "52:54:00:00:00:02", "52:54:00:00:00:03")
LINKS = (
    Link(
        "mgmt", parent="up", vlan=7, addresses=("192.0.2.10/24", "2001:db8:7::10/64"), gateways=("192.0.2.1",), mtu=1400
    ),
    Link("up", bond=("a", "b"), mode="active-backup", addresses=("198.51.100.10/24",), mtu=9000),
    Link("a", mac=MACS[0]),
    Link("b", mac=MACS[1]),
    Link("iot", parent="lan", vlan=9, addresses=("203.0.113.9/24",), routes=(Route("10.0.0.0/8", "203.0.113.1"),)),
    Link("lan", mac=MACS[2], dhcp=True),
)
WIRING = Wiring(LINKS)
START = """#!/bin/sh
PATH=/usr/sbin:/usr/bin
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs dev /dev 2>/dev/null
mount -t tmpfs run /run; mkdir -p /run/resolvconf /etc/toweros
for module in $(cat /etc/modules.load); do
	case $module in */bonding.ko) insmod $module max_bonds=0 ;; *) insmod $module ;; esac
done
exec >/dev/ttyS0 2>&1
{functions}
NET='{word}'
say() {{ echo "initrd: $*"; }}
dhcp_somewhere() {{ :; }}
network_up
echo REPAIR; ip -d link show dev repair; ip -o -4 address show dev repair; cat /proc/net/bonding/repairs
network_down
ls /sys/class/net | sed 's/^/left: /'
NETWORK_LOOK=1 start-dhcpcd &
for try in $(seq 60); do
	sleep 1
	! ip -o -4 address show dev eth2 | grep -q 10.0.2.15 || break
done
echo FIRST
ip -d link show; ip -o address show; ip route; cat /proc/net/bonding/up
echo END
before=$(ip -o -d link show type vlan; ip -o link show type bond; ip route)
ip link set eth1 down; ip link set eth1 up; sleep 2  # looked at again
[ "$before" = "$(ip -o -d link show type vlan; ip -o link show type bond; ip route)" ] && echo SAME
poweroff -f
"""


def functions() -> str:
    """The initrd's, for its network."""
    text = INITRD.read_text()
    return (
        "NETS=/sys/class/net\nREPAIR_BOND=repairs\nREPAIR_VLAN=repair\nNETWORK_UP=\n"
        + text[text.index("# toweros.net is") : text.index("# stack TARGET")]
    )


def initrd(folder: Path) -> Path:
    tree = tree_of([built.store().blobs.path(layer) for layer in built.image("pkg/dhcpcd").layers])
    start = START.format(functions=functions(), word=WIRING.word)
    made = {"init": start, "etc/toweros/network": WIRING.text()}
    tree |= {path: Node(stat.S_IFREG | 0o755, data=text.encode()) for path, text in made.items()}
    tree |= modules.needed(("virtio_pci", "virtio_net", "8021q", "bonding"), built.kernel() / "kernel.tar")
    (folder / "initrd").write_bytes(cpio.archive(tree))
    return folder / "initrd"


def test_vlans_on_a_bond_and_on_a_card_come_up_and_stay(tmp_path: Path) -> None:
    cards = [
        word
        for number, mac in enumerate(MACS)
        for word in ("-netdev", f"user,id=n{number}", "-device", f"virtio-net-pci,romfile=,netdev=n{number},mac={mac}")
    ]
    command = [
        "qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-machine", "pc,accel=tcg",
        "-m", "512",
        "-kernel", str(built.kernel() / "kernel"), "-initrd", str(initrd(tmp_path)),
        "-append", "console=ttyS0 quiet panic=-1", "-no-reboot", "-serial", "stdio", *cards
    ]  # fmt: skip
    said = subprocess.run(command, capture_output=True, text=True, timeout=240, check=True).stdout
    said = COLOURS.sub("", said)
    repair = said.partition("REPAIR\n")[2]
    assert "repair@repairs" in repair and "vlan protocol 802.1Q id 7" in repair, said
    assert "repair    inet 192.0.2.10/24" in repair, said
    assert repair.partition("left: ")[0].count("Slave Interface: eth") == 2 and "left: eth2" in repair, said
    assert "left: repair" not in repair and "left: bond0" not in repair, said
    first = said.partition("FIRST\n")[2].partition("\nEND")[0]
    assert "mgmt@up:" in first and "mtu 1400" in first and "vlan protocol 802.1Q id 7" in first, said
    assert "mgmt    inet 192.0.2.10/24" in first and "mgmt    inet6 2001:db8:7::10/64" in first, said
    assert "iot@eth2:" in first and "id 9" in first and "10.0.0.0/8 via 203.0.113.1 dev iot" in first, said
    assert "up    inet 198.51.100.10/24" in first and "default via 192.0.2.1 dev mgmt metric 100" in first, said
    assert "Bonding Mode: fault-tolerance (active-backup)" in first, said
    assert first.count("Slave Interface: eth") == 2 and "eth2    inet 10.0.2.15/24" in first, said
    assert "\nSAME\n" in said and "repair" not in first, said
