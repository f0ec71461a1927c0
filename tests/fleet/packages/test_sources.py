"""A lock says a Debian package's source where advisories would not find it by the package's own name."""

from gitops.fleet.packages.lockfile import dump_lock, parse_lock
from gitops.model import LockedFile

OWN = LockedFile(
    "deb",
    "openssh-server",
    "1:10.0p1-7",
    "a" * 64,
    1,
    "pool/main/o/openssh/openssh-server.deb",
    "openssh",
    "1:10.0p1-7",
)
SAME = LockedFile("deb", "zlib1g-dev", "1.3", "b" * 64, 1, "pool/main/z/zlib/zlib1g-dev.deb")


def test_the_source_of_a_package_is_kept_in_its_lock() -> None:
    problems: list[object] = []
    data = dump_lock(b"deb openssh-server\n", [OWN, SAME])
    assert parse_lock(data, "pkg/sshd/packages.lock", b"deb openssh-server\n", problems) == (OWN, SAME)  # type: ignore[arg-type]
    assert problems == []
