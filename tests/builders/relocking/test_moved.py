"""What `toweros lock` says that moved, by source: also where the lock before had no column for it."""

from gitops.builders import moved
from gitops.model import LockedFile


def file(name: str, version: str, source: str = "", own: str = "", path: str = "x.deb") -> LockedFile:
    return LockedFile("deb", name, version, "ab" * 32, 1, path, source, own)


def test_a_lock_without_sources_is_compared_by_source_all_the_same() -> None:
    before = [
        file("libssl3", "3.5.7-1"),
        file("openssl", "3.5.7-1"),
        file("libz1", "1:1.0-1+b2"),
        file("libold", "2.0-1", path="pool/main/o/old/libold_2.0-1_amd64.deb"),
        file("same", "1.0"),
    ]
    after = [
        file("libssl3", "3.5.9-1", "openssl", "3.5.9-1"),
        file("openssl", "3.5.9-1"),
        file("libz1", "1:1.0-1+b3", "zlib", "1:1.0-1"),
        file("libold3", "2.1-1", "old", "2.1-1"),
        file("same", "1.0"),
    ]
    assert moved(before, after) == ["old      2.0-1 -> 2.1-1", "openssl  3.5.7-1 -> 3.5.9-1"]
