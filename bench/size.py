"""How large the releases of a state folder are, raw and as zstd, layer by layer.

In: a state folder. Out: per box a table of layers with the places that mount them, the kernel and initrd (inside the
UKI), and sums; a layer that is mounted twice counts once, as on the box and on the wire.

    python bench/size.py /var/lib/toweros
"""

import sys
from pathlib import Path

from gitops.model import Publication
from gitops.store import Store

MEGA = 1_000_000


def rows(store: Store, publication: Publication) -> list[tuple[str, int, int]]:
    """What, raw bytes, bytes as they travel."""
    content, places = publication.release.content, dict[str, list[str]]()
    for place, layers in [("/", content.root), *((mount.path, mount.layers) for mount in content.containers)]:
        for layer in layers:
            places.setdefault(layer.root, []).append(place)
    found = []
    for layer in {layer.root: layer for layer in publication.release.layers()}.values():
        packed, used = store.layers.zst(layer.root), places[layer.root]
        sent = packed.stat().st_size if packed.is_file() else layer.size
        more = f" and {len(used) - 1} more" if len(used) > 1 else ""
        found.append((f"{layer.root[:12]} {used[0]}{more}", layer.size, sent))
    boot = {"uki": publication.uki, "addon": publication.addon, "release": publication.document}
    return [*sorted(found, key=lambda row: -row[1]), *((name, ref.size, ref.size) for name, ref in boot.items())]


def main() -> None:
    """Print a table for every box."""
    if len(sys.argv) != 2:
        raise SystemExit("usage: size.py STATE")
    store = Store.open(Path(sys.argv[1]))
    for box in [state.name for state in store.states.all() if state.published.release]:
        publication = store.offers.published(box)
        assert publication
        lines = rows(store, publication)
        total = ("all", sum(raw for _, raw, _ in lines), sum(sent for _, _, sent in lines))
        print(f"{box}: release {publication.release.sequence}, {publication.revision}")
        for name, raw, sent in [*lines, total]:
            print(f"  {name:44} {raw / MEGA:8.2f} MB raw {sent / MEGA:8.2f} MB zstd {sent / raw:5.0%}")


if __name__ == "__main__":
    main()
