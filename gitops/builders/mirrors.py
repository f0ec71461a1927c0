"""Where Debian packages come from: the mirrors that this machine's own apt is configured with.

No mirror's name stands in this project. Debian 13's suites are asked of the same servers as the host's own.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gitops.errors import BuildError
from gitops.process import run

SUITE = "trixie"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
OS_RELEASE = Path("/etc/os-release")


@dataclass(frozen=True)
class Mirror:
    """A base URI (ending in `/`), the suite of ours that it serves, and whose signature its index must have."""

    uri: str
    suite: str
    keyring: Path = KEYRING

    def source(self, components: Sequence[str]) -> str:
        """A line of sources.list(5)."""
        return f"deb [signed-by={self.keyring}] {self.uri} {self.suite} {' '.join(components)}"


@functools.cache
def mirrors() -> tuple[Mirror, ...]:
    """The host's mirrors, with its suites replaced by ours.

    Raises:
        BuildError: apt has no Debian source.
    """
    codename = _codename()
    # Without --no-release-info it lists nothing of a suite whose index nobody has fetched: a container never has.
    words = ["--no-release-info", "--format", "$(REPO_URI) $(RELEASE)", "Identifier: Packages"]
    lines = run(["apt-get", "indextargets", *words])
    result = []
    for line in lines.decode().splitlines():
        uri, suite = line.split()
        if suite.partition("-")[0] in (codename, SUITE, "stable", "oldstable") and "backports" not in suite:
            result.append(Mirror(uri, SUITE + "-" * ("-" in suite) + suite.partition("-")[2]))
    if not result:
        raise BuildError("apt has no Debian source", hint="add one to /etc/apt/sources.list.d")
    return tuple(dict.fromkeys(result))


def _codename() -> str:
    words = dict(line.split("=", 1) for line in OS_RELEASE.read_text().splitlines() if "=" in line)
    return words.get("VERSION_CODENAME", SUITE)
