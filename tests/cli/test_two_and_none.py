"""`toweros assemble`, `cache` and `run` on a full disk, at Ctrl-c, and where two are at work."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.kit import linuxkit, oci
from tests.kit.images import layout, made

TOWEROS = Path(sys.executable).parent / "toweros"
INTERRUPTED = 130
SMALL = """
mount -t tmpfs -o size=64k none small
while read -r words; do
	eval "toweros $words" 2>&1
	echo "$? $(find small -type f ! -regex '.*/[0-9a-f]*')"
done
"""
"""Each line is a command of ours, on a disk of 64 KiB; then its exit code, and what it left that
is not named by a digest, as whole blobs and what is remembered are."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Specs, and their images."""
    linuxkit.system(tmp_path / "oci", kernel=b"K" * 100)
    layout(tmp_path / "large", {"web.example/web:1": made([oci.tar({"large": os.urandom(300_000)})])})
    (tmp_path / "demo.yml").write_text(linuxkit.SPEC)
    (tmp_path / "large.yml").write_text("init: ['web.example/web:1']\n")
    (tmp_path / "small").mkdir()
    return tmp_path


def environment(folder: Path) -> dict[str, str]:
    own = {"HOME": str(folder), "XDG_CACHE_HOME": "", "TOWEROS_CONFIG": str(folder / "none.toml"), "NO_COLOR": "1"}
    (folder / "none.toml").write_text(f'state = "{folder}/state"\n')
    return {**os.environ, **own, "PATH": f"{TOWEROS.parent}:{os.environ['PATH']}"}


def begun(folder: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        ["env", "--default-signal=INT", TOWEROS, *words], cwd=folder, env=environment(folder), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def done(process: subprocess.Popen[str], code: int = 0) -> str:
    output, said = process.communicate(timeout=300)
    assert "Traceback" not in said and process.returncode == code, said
    return output


def test_a_full_disk_is_told_and_has_no_half_file(folder: Path) -> None:
    done(begun(folder, "cache", "import", "large"))
    (large,) = (row["digest"] for row in json.loads(done(begun(folder, "cache", "ls", "-o", "json"))))
    commands = (
        f"cache export {large} --outfile small/a.tar",
        f"cache export {large} --format filesystem --outfile small/b.tar",
        f"cache export {large} --outfile small/c/",
        "assemble large.yml --images large --out small/d.tar",
        "assemble large.yml --images large --out e.tar --state small/state",
        f"run iso-bios e --state small/own --data {'x' * 100_000}",
    )
    script = ["unshare", "--mount", "sh", "-c", SMALL]
    said = subprocess.run(
        script, input="\n".join((*commands, "")), cwd=folder, env=environment(folder), capture_output=True, text=True,
        check=True, timeout=300
    ).stdout  # fmt: skip
    assert said.count("No space left on device") == len(commands) and "Traceback" not in said, said
    assert said.count("\n1 \n") == len(commands), said
    assert "None:" not in said and "cache clean --assembled` makes room" in said, said


def test_ctrl_c_ends_it_and_leaves_nothing(folder: Path) -> None:
    layout(folder / "huge", {"web.example/web:1": made([oci.tar({"huge": os.urandom(64 << 20)})])})
    assembled = folder / "state" / "assembled"
    process = begun(folder, "assemble", "large.yml", "--images", "huge", "-f", "kernel+initrd,tar", "--dir", "out",
                    "--state", "state", "--no-sbom")  # fmt: skip
    while not [*assembled.glob(".new-*/*/*")] and process.poll() is None:
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=300)
    assert process.returncode == INTERRUPTED and "Traceback" not in said, said
    assert not [*assembled.glob(".new-*")] and not (folder / "out").exists()


def test_two_at_once_write_what_one_writes(folder: Path) -> None:
    """The same spec to the same files with one memory."""
    words = (
        "assemble",
        "large.yml",
        "--images",
        "large",
        "-f",
        "kernel+initrd,tar",
        "--dir",
        "out",
        "--state",
        "state",
    )
    both = [begun(folder, *words) for _ in range(2)]
    for each in both:
        done(each)
    done(begun(folder, *words[:-3], "alone", "--state", "other state"))
    out, alone = ({path.name: path.read_bytes() for path in (folder / name).iterdir()} for name in ("out", "alone"))
    assert out == alone and len(out) == 2 and not [*(folder / "state" / "assembled").glob(".new-*")]


def test_what_names_nothing_is_no_folder(folder: Path) -> None:
    before = {path.name for path in folder.iterdir()} | {"none.toml"}
    for words in (("assemble", "demo.yml", "--images", "oci", "--out", ""), ("cache", "export", "x", "--outfile", "")):
        process = begun(folder, *words)
        _, said = process.communicate(timeout=300)
        assert "names nothing" in said and process.returncode == 1, said
    process = begun(folder, "assemble", "demo.yml", "--images", "oci", "--name", "x", "--dir", "demo.yml")
    assert "error: demo.yml: " in process.communicate(timeout=300)[1]
    assert {path.name for path in folder.iterdir()} - {".cache"} == before
