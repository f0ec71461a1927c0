"""boot.json as the initrd's own shell writes it, with the shell and the jq of this machine."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.kit.contracts import CONTRACTS, good, load, problems, vectors
from tests.kit.initrd import SHELLS, initrd


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("vector", "values"),
    [
        ("blessed", {"SEQUENCE": "7", "ENTRY": "toweros-7.efi", "REPAIRED": ""}),
        ("trial", {"SEQUENCE": "8", "ENTRY": "toweros-8+2-1.efi", "REPAIRED": f" {'1' * 64} {'2' * 64}"}),
        ("medium", {"SEQUENCE": "7", "ENTRY": "toweros-7.efi", "REPAIRED": "", "PLACE": "medium"}),
        ("unknown-entry", {"SEQUENCE": "7", "ENTRY": "", "REPAIRED": ""}),
    ],
)
def test_the_initrd_writes_its_vector(tmp_path: Path, shell: str, vector: str, values: dict[str, str]) -> None:
    expected = good("boot", vector)
    same = {"BOX": "demo-1", "RELEASE": expected["release"], "SERVER": "http://10.0.2.2:8080"}
    initrd(shell, tmp_path, "hand_over", **same, **values)
    document = json.loads((tmp_path / "boot.json").read_bytes())
    assert document == expected
    assert problems("boot", document) == []


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("vector", vectors("release", "good", "before"))
def test_the_initrd_reads_a_release(tmp_path: Path, shell: str, vector: Path) -> None:
    (tmp_path / "release.json").write_bytes(vector.read_bytes())
    content: dict[str, Any] = load(vector)["content"]
    places = [content["root"], *(each["layers"] for each in content["containers"])]
    layers = {each["root"]: each["size"] for place in places for each in place}
    said = initrd(shell, tmp_path, "for_each_layer echo")
    assert said.splitlines() == [f"{root} {size}" for root, size in sorted(layers.items())]
    work = 'stack() { echo "$@"; }; mount_root; mount_containers'
    mounted = [f"/newroot {' '.join(each['root'] for each in content['root'])}"]
    for each in content["containers"]:
        roots = " ".join(layer["root"] for layer in each["layers"])
        mounted.append(f"/newroot/containers/{each['path']}/{each['target']} {roots}")
    assert initrd(shell, tmp_path, work).splitlines() == mounted


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("entry", "addons", "filed"),
    [
        ("toweros-6.efi", (6, 3), "6"),
        ("toweros-6.efi", (3, 6), "6"),
        ("toweros-8+2-1.efi", (8, 3), "8"),
        ("toweros-8+0-3.efi", (), "8"),
        ("", (6, 3), "3"),
        ("linux.efi", (), "0"),
    ],
)
def test_a_reason_is_filed_under_the_entry_that_was_started(
    tmp_path: Path, shell: str, entry: str, addons: tuple[int, ...], filed: str
) -> None:
    """Two addons name two releases; what went wrong is neither's, but the entry's that they lie beside."""
    words = " ".join(f"toweros.release={str(number) * 64} toweros.sequence={number}" for number in addons)
    (tmp_path / "cmdline").write_text(f"console=ttyS0 {words}\n")
    (tmp_path / "initrd.log").write_text("log\n")
    (tmp_path / "disk" / "state").mkdir(parents=True)
    work = (
        f'say() {{ :; }}; fail() {{ leave_note "$*"; exit 0; }}; boot_entry() {{ echo "{entry}"; }}; read_command_line'
    )
    initrd(shell, tmp_path, work, CMDLINE=str(tmp_path / "cmdline"), DISK=str(tmp_path / "disk"))
    state = tmp_path / "disk" / "state"
    assert {path.name for path in state.iterdir()} == {f"why-{filed}", f"boot-{filed}.log"}
    assert (state / f"why-{filed}").read_text() == f"the command line names {len(addons)} releases\n"


@pytest.mark.parametrize("vector", vectors("boot", "good", "before"))
def test_init_names_the_log_of_a_boot_after_its_sequence(tmp_path: Path, vector: Path) -> None:
    (tmp_path / "disk" / "state").mkdir(parents=True)
    (tmp_path / "boot.json").write_bytes(vector.read_bytes())
    (tmp_path / "init.log").write_text("started\n")
    common = CONTRACTS.parent / "pkg" / "init" / "files" / "usr" / "lib" / "toweros" / "common.sh"
    program = f". {common}\nHANDOVER={tmp_path}\nsave_log\n"
    subprocess.run(["sh", "-c", program], check=True)
    log = tmp_path / "disk" / "state" / f"boot-{load(vector)['sequence']}.log"
    assert log.read_text() == "started\n"
