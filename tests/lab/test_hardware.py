"""The command line of a machine: what leads into it, and from where."""

import re
from pathlib import Path

from gitops.lab.hardware import Hardware


def line(hardware: Hardware) -> str:
    return " ".join(map(str, hardware.command("demo-1")))


def test_ports_lead_in_from_the_loopback_alone(tmp_path: Path) -> None:
    command = line(Hardware(tmp_path / "disk.raw", tmp_path / "vars.fd", {8081: 8080, 2222: 22}))
    assert re.findall(r"hostfwd=(\S+?)(?=,|\s)", command) == ["tcp:127.0.0.1:2222-:22", "tcp:127.0.0.1:8081-:8080"]
    assert "-netdev user,id=net" in line(Hardware(tmp_path / "disk.raw", tmp_path / "vars.fd"))


def test_the_name_of_a_disk_says_its_format(tmp_path: Path) -> None:
    for name, kind in (("disk.qcow2", "qcow2"), ("disk.raw", "raw"), ("disk.img", "raw")):
        assert f"id=disk,format={kind}," in line(Hardware(tmp_path / name, tmp_path / "vars.fd"))


def test_the_console_is_written_down_whether_somebody_may_type_or_not(tmp_path: Path) -> None:
    for attachable in (True, False):
        command = line(Hardware(tmp_path / "disk.raw", tmp_path / "vars.fd", attachable=attachable))
        assert ("console.sock" in command) == attachable and "serial.log" in command


def test_without_variables_the_firmware_is_a_bios_and_an_iso_is_a_disc(tmp_path: Path) -> None:
    with_bios = line(Hardware(tmp_path / "disk.raw", None))
    assert "pflash" not in with_bios and "virtio-blk-pci,drive=disk" in with_bios
    disc = line(Hardware(tmp_path / "box.iso", None, optical=True))
    assert "media=cdrom,readonly=on" in disc and "ide-cd,drive=disk,bootindex=0" in disc and "virtio-blk" not in disc


def test_a_medium_beside_a_disk_is_started_when_the_disk_does_not(tmp_path: Path) -> None:
    both = line(Hardware(tmp_path / "disk.raw", None, medium=tmp_path / "box.iso"))
    assert "virtio-blk-pci,drive=disk,bootindex=0" in both and "ide-cd,drive=medium,bus=ide.1,bootindex=1" in both
    assert f"file={tmp_path}/box.iso,media=cdrom,readonly=on" in both


def test_a_medium_that_somebody_chose_comes_before_the_disk(tmp_path: Path) -> None:
    words = " ".join(
        map(str, Hardware(tmp_path / "d.raw", None, medium=tmp_path / "m", medium_first=True).command("x"))
    )
    assert "drive=disk,bootindex=1" in words and "drive=medium,bus=ide.1,bootindex=0" in words
