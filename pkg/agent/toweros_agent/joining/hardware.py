"""What a machine says of its hardware to whoever gives it a name: the words on its case, and of its network cards.

In: sysfs. Out: the report's `hardware`. Rules: words that anybody can say, told as they are; what nobody can read is
missing.
"""

import re
from pathlib import Path

from toweros_agent.nouns import Json

MOST_MACS = 16
MAX_SERIAL = 64
MAC = re.compile("([0-9a-f]{2}:){5}[0-9a-f]{2}")


def hardware(sys: Path) -> Json:
    """`{"serial": ..., "macs": [...]}`."""
    return {"serial": serial(sys / "class" / "dmi" / "id"), "macs": macs(sys / "class" / "net")}


def serial(dmi: Path) -> str:
    """Of the chassis's maker (SMBIOS 3.6, type 1), else of the board's (type 2)."""
    for name in ("product_serial", "board_serial"):
        try:
            words = (dmi / name).read_bytes()[:MAX_SERIAL].decode("ascii").strip()
        except (OSError, ValueError):
            continue
        if words and words.isprintable():
            return words
    return ""


def macs(net: Path) -> list[str]:
    """Of network cards: what has no device behind it (a bridge, a tunnel) may have another address tomorrow."""
    found = set()
    for card in net.glob("*"):
        try:
            address = (card / "address").read_text().strip().lower() if (card / "device").exists() else ""
        except (OSError, ValueError):
            continue
        if MAC.fullmatch(address):
            found.add(address)
    return sorted(found)[:MOST_MACS]
