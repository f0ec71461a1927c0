"""`toweros vm run` and `toweros box ssh`: which machine, which port, and what is said when there is none."""

import json
from pathlib import Path

import pytest

from gitops.cli import box
from gitops.cli.media import vm
from gitops.cli.reaching import login
from gitops.errors import StoreError, TowerosError, VmError
from gitops.lab.machine import Machine
from gitops.lab.stand_in import StandIn
from gitops.settings import Settings
from tests.kit.bios_disk import BiosDisk
from tests.kit.published import kit


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    made = kit(tmp_path)
    config = tmp_path / "toweros.toml"
    config.write_text(f'repository = "{tmp_path}"\nstate = "{made.store.paths.root}"\nkeys = "{tmp_path / "keys"}"\n')
    monkeypatch.setenv("TOWEROS_CONFIG", str(config))
    return Settings(state=made.store.paths.root, keys=tmp_path / "keys")


def test_a_box_without_a_release_has_no_machine(settings: Settings) -> None:
    with pytest.raises(StoreError, match="demo-9 has no published release"):
        vm.run("demo-9")


def test_a_forward_that_is_none_is_named(settings: Settings) -> None:
    with pytest.raises(TowerosError, match="--forward takes HOST:BOX"):
        vm.run("demo-1", forward=["8080"])


def test_a_rule_for_a_disk_without_a_medium_is_no_machine(settings: Settings) -> None:
    with pytest.raises(TowerosError, match="--install is for a medium"):
        vm.run("demo-1", install="largest")
    with pytest.raises(TowerosError, match="--install is for a medium"):
        vm.run("demo-1", install="largest", iso=True, pxe=True)


def test_ssh_goes_to_the_running_machine_and_keeps_its_host_key_apart(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr(login, "become", lambda command: started.append([str(word) for word in command]))
    with pytest.raises(TowerosError, match="no address of demo-1 is known"):
        box.ssh("demo-1")
    box.ssh("demo-1", address="192.0.2.7", command=["uptime"])
    folder = StandIn(settings, "demo-1").folder
    folder.mkdir(parents=True)
    (folder / "ports.json").write_text(json.dumps({"22": 2222}))
    box.ssh("demo-1")
    real, machine = started
    assert real[-2:] == ["root@192.0.2.7", "uptime"] and "HostKeyAlias=demo-1" in real
    assert machine[-3:] == ["-p", "2222", "root@127.0.0.1"] and "HostKeyAlias=demo-1.vm" in machine


def test_a_file_that_is_not_there_is_named(settings: Settings) -> None:
    for name in ("./disk", "box.iso"):
        with pytest.raises(VmError, match="there is no file"):
            vm.run(name)


def test_a_file_that_nothing_starts_from_is_named(settings: Settings, tmp_path: Path) -> None:
    """A machine would sit there, and say nothing."""
    for name, told in (("text.img", "no boot sector"), ("text.iso", "is no ISO")):
        (tmp_path / name).write_text("hello\n" * 1000)
        with pytest.raises(VmError, match=told):
            vm.run(str(tmp_path / name), bios=True)


@pytest.mark.boot
@pytest.mark.e2e
def test_a_disk_image_runs_by_a_bios_and_stays_as_it_is(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, seen = BiosDisk(tmp_path / "bios", b"G"), list[str]()
    before = disk.path.read_bytes()

    def look(machine: Machine) -> None:
        seen.append(machine.wait_for("toweros.entry=(.*)$", 120)[1].strip())

    monkeypatch.setattr(vm, "attach", look)
    vm.run(str(disk.path), bios=True)
    assert seen == ["toweros-7.efi"] and disk.path.read_bytes() == before
