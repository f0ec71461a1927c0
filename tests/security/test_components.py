"""A locked file is matched by the source that advisories name, also when its lock is old: or a kernel looks clean."""

import pytest

from gitops.model import LockedFile
from gitops.security.components import of_lock
from gitops.security.distribution import distribution_of

POOL = "pool/updates/main/l/linux-signed-amd64/linux-image_6.12.117-1_amd64.deb"

SIGNED_LINUX = "linux-signed-amd64"


def deb(name: str, version: str, path: str = "", source: str = "", source_version: str = "") -> LockedFile:
    return LockedFile("deb", name, version, "ab" * 32, 1, path, source, source_version)


@pytest.mark.parametrize(
    ("file", "source", "version"),
    [
        (deb("linux-image-6.12.117+deb13-amd64", "6.12.117-1", POOL), "linux", "6.12.117-1"),
        (deb("linux-image-amd64", "6.12.117-1", "", "linux-signed-amd64", "6.12.117+1"), "linux", "6.12.117-1"),
        (
            deb("linux-image-amd64", "6.12.9-1~bpo13+1", "", SIGNED_LINUX, "6.12.9+1~bpo13+1"),
            "linux",
            "6.12.9-1~bpo13+1",
        ),
        (deb("grub-efi-amd64-signed", "1+2.12+9"), "grub2", "2.12-9"),
        (deb("grub-efi-amd64-signed", "1+2.06+13+deb12u1"), "grub2", "2.06-13+deb12u1"),
        (
            deb("grub-efi-amd64-signed", "1+2.12~rc1+9", "pool/main/g/grub-efi-amd64-signed/g.deb"),
            "grub2",
            "2.12~rc1-9",
        ),
        (deb("shim-signed", "1.47+15.8-1", "", "shim-signed", "1.47"), "shim", "15.8-1"),
        (deb("shim-signed", "1.44~1+deb12u1+15.8-1~deb12u1", "", "", "1.44~1+deb12u1"), "shim", "15.8-1~deb12u1"),
        (deb("shim-helpers-amd64-signed", "1+15.8+1"), "shim", "15.8-1"),
        (deb("fwupd-amd64-signed", "1:1.7+1", "", "fwupd-efi-amd64-signed"), "fwupd-efi", "1:1.7-1"),
        (deb("systemd-boot-efi-amd64-signed", "257.8+1~deb13u2"), "systemd", "257.8-1~deb13u2"),
        (deb("libssl3t64", "3.5.1-1", "pool/main/o/openssl/libssl3t64_3.5.1-1_amd64.deb"), "openssl", "3.5.1-1"),
        (deb("libacl1", "2.3.2-2+b1", "pool/main/a/acl/libacl1_2.3.2-2+b1_amd64.deb"), "acl", "2.3.2-2"),
        (
            deb("gcc", "4:14.2.0-1", "pool/main/g/gcc-defaults/gcc.deb", "gcc-defaults", "1.220"),
            "gcc-defaults",
            "1.220",
        ),
        (deb("bash", "5.2-1", "pool/main/b/bash/bash_5.2-1_amd64.deb"), "bash", "5.2-1"),
        (deb("own", "1", "elsewhere/own.deb"), "own", "1"),
        (deb("tool", "1", "pool/stable/main/tool_1_amd64.deb"), "tool", "1"),
        (deb("libzstd1", "1.5", "pool/main/libz/libzstd/libzstd1_1.5_amd64.deb"), "libzstd", "1.5"),
        (LockedFile("wheel", "Typing_Extensions", "4.1", "ab" * 32, 1, "x.whl"), "typing-extensions", "4.1"),
    ],
)
def test_the_source_of_a_locked_file(file: LockedFile, source: str, version: str) -> None:
    component = of_lock(file)
    assert (component.source, component.source_version) == (source, version)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ([deb("base-files", "13.8+deb13u7"), deb("x", "1+deb12u1")], "debian:13"),
        ([deb("a", "1-1~deb12u3"), deb("b", "2+deb12u1"), deb("c", "3+deb11u1")], "debian:12"),
        ([deb("a", "1-1")], ""),
        ([], ""),
    ],
)
def test_locks_tell_their_distribution(files: list[LockedFile], expected: str) -> None:
    assert distribution_of(files) == expected
