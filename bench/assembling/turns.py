"""How long an assembly takes: cold, when nothing changed, when one of twenty images did; beside other tools.

In: MiB of every image, a format. Out: seconds by tool and turn, and ratios to `linuxkit build` where it is installed.
`buildah` adds the same twenty layers to an image and commits it: what a builder of images does with them.

    python bench/assemble.py --size 8 --format kernel+initrd
"""

import argparse
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.kit.images import Made, layout, made
from tests.kit.oci import tar

IMAGES = 20
CHANGED = 7
TURNS = ("cold", "nothing changed", "one of twenty")
TOWEROS = Path(sys.executable).with_name("toweros")


def image(number: int, size: int, turn: int = 0) -> Made:
    """Files of 64 KiB that compress to about a half, as programs do."""
    source = random.Random(f"{number}/{turn if number == CHANGED else 0}")
    files = {f"usr/bin/{name}": (source.randbytes(32 << 10) + bytes(32 << 10)) for name in range(size * 16)}
    return made([tar(files)], config={"Cmd": ["/usr/bin/0"]})


def write(folder: Path, size: int, turn: int) -> None:
    """The layout, and the spec: a tag a turn, so that nobody takes an image for another."""
    shutil.rmtree(folder / "oci", ignore_errors=True)
    names = [f"bench.example/s{number}:{turn if number == CHANGED else 0}" for number in range(IMAGES)]
    images = {name: image(number, size, turn) for number, name in enumerate(names)}
    images["bench.example/init:0"] = made([tar({"init": b"#!/bin/sh\n"})])
    images["bench.example/kernel:0"] = made([tar({"kernel": bytes(8 << 20), "kernel.tar": tar({})})])
    layout(folder / "oci", images)
    services = [{"name": f"s{number}", "image": name} for number, name in enumerate(names)]
    kernel = {"image": "bench.example/kernel:0", "cmdline": "quiet"}
    spec = {"kernel": kernel, "init": ["bench.example/init:0"], "services": services}
    (folder / "bench.yml").write_text(json.dumps(spec))


def toweros(folder: Path, format_: str) -> None:
    words = [
        "assemble",
        "bench.yml",
        "--images",
        "oci",
        "--no-sbom",
        "--format",
        format_,
        "--state",
        "state",
        "--dir",
        "out",
    ]
    subprocess.run([TOWEROS, *words], cwd=folder, check=True, capture_output=True)


def linuxkit(folder: Path, format_: str) -> None:
    words = ["build", "--no-sbom", "--format", format_, "--dir", "lk", "bench.yml"]
    subprocess.run(["linuxkit", "--cache", "oci", *words], cwd=folder, check=True, capture_output=True)


def buildah(folder: Path, format_: str) -> None:
    del format_
    rows = json.loads((folder / "oci" / "index.json").read_text())["manifests"]
    steps = ("c=$(buildah from scratch)", 'for t in "$@"; do buildah add -q $c $t /$(basename $t)/; done')
    script = "; ".join((*steps, "buildah commit -q --rm $c oci:bah:x"))
    layers = []
    for row in rows:
        manifest = json.loads((folder / "oci" / "blobs" / row["digest"].replace(":", "/")).read_text())
        layers += [f"oci/blobs/{layer['digest'].replace(':', '/')}" for layer in manifest["layers"]]
    subprocess.run(["sh", "-euc", script, "sh", *layers], cwd=folder, check=True, capture_output=True)


def timed(tool: Callable[[Path, str], None], folder: Path, format_: str, size: int) -> list[float]:
    """Seconds of the three turns; the layouts are made before the clock runs."""
    seconds = []
    for turn in (0, 0, 1):
        write(folder, size, turn)
        began = time.monotonic()
        tool(folder, format_)
        seconds.append(time.monotonic() - began)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=8, help="MiB of every image")
    parser.add_argument("--format", default="kernel+initrd")
    options = parser.parse_args()
    tools: dict[str, Callable[[Path, str], None]] = {"toweros": toweros}
    tools |= {name: tool for name, tool in (("linuxkit", linuxkit), ("buildah", buildah)) if shutil.which(name)}
    found = {}
    for name, tool in tools.items():
        with tempfile.TemporaryDirectory() as folder:
            found[name] = timed(tool, Path(folder), options.format, options.size)
    print(f"{IMAGES} images of {options.size} MiB, {options.format}")
    print(f"{'':10}" + "".join(f"{turn:>18}" for turn in TURNS))
    for name, seconds in found.items():
        print(f"{name:10}" + "".join(f"{value:16.1f} s" for value in seconds))
    base = found.get("linuxkit", found["toweros"])[0]
    whose = "linuxkit's" if "linuxkit" in found else "its own"
    print(f"toweros to {whose} cold: " + ", ".join(f"{value / base:.2f}" for value in found["toweros"]))
