"""Every format of LinuxKit's, assembled and started once: seconds and sizes, for the table in docs/assemble.md.

In: formats (all that start in QEMU). Out: per format the bytes of its files, the seconds that making it took where the
parts of the root are remembered, and those from QEMU's start to its end. Rules: the system is that of the tests, with
an init that says what it finds and powers off (tests/kit/linuxkit); what does not say it ends this with 1. Plain
emulation: on a machine with KVM all is faster.

    python bench/assembling/boots.py raw-efi vmdk
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
from gitops.lab.image import FORMATS, ROOTS, Asked, command
from tests.kit import built, linuxkit

TOWEROS = Path(sys.executable).with_name("toweros")
LIMIT = 600
"""Seconds of one machine."""
MEMORY = 256


def made(format_: str, folder: Path, asked: list[str | Path]) -> tuple[float, int]:
    """Seconds, and bytes of all files, with names of their own: two formats may have one."""
    began = time.monotonic()
    words = [TOWEROS, "assemble", "demo.yml", "--format", format_, "--name", format_, *asked]
    subprocess.run(words, cwd=folder, check=True, capture_output=True)
    return time.monotonic() - began, sum(path.stat().st_size for path in folder.glob(f"{format_}*") if path.is_file())


def started(format_: str, folder: Path) -> tuple[float, bool]:
    """Seconds, and whether the init said what it finds. The test's kernel needs an initrd for a root on a disk."""
    more = ["-initrd", str(linuxkit.loader(folder))] if format_ in ROOTS else []
    words = command(format_, folder / format_, Asked(memory=MEMORY), more)
    began = time.monotonic()
    done = subprocess.run(words, check=False, stdin=subprocess.DEVNULL, capture_output=True, timeout=LIMIT, cwd=folder)
    return time.monotonic() - began, linuxkit.SAYS.encode() in done.stdout


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("formats", nargs="*", choices=[[], *FORMATS], help="default: all that start")
    formats = parser.parse_args().formats or FORMATS
    silent = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "demo.yml").write_text(linuxkit.SPEC)
        images = linuxkit.system(folder / "oci")
        tools = linuxkit.image_layout(folder / "tools", "media-tools", built.image("pkg/media-tools"))
        asked: list[str | Path] = ["--images", images, "--tools", tools, "--state", folder / "state"]
        made("kernel+initrd", folder, asked)
        print(f"{'':16}{'MB':>8}{'made':>10}{'runs':>10}")
        for format_ in formats:
            seconds, size = made(format_, folder, asked)
            runs, said = started(format_, folder)
            silent += [] if said else [format_]
            print(f"{format_:16}{size / 1e6:8.1f}{seconds:8.1f} s{runs:8.1f} s", flush=True)
    if silent:
        print(f"nothing was said by {', '.join(silent)}")
    return int(bool(silent))


if __name__ == "__main__":
    sys.exit(main())
