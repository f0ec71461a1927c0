"""What a step of a chain gets: the files that it needs, the file that it makes, the tools.

def kernel(work: Work) -> None:
    shutil.copyfile(work.file("boot"), work.target)
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import structlog

from gitops.assemble.toolbox import Toolbox

log = structlog.get_logger(__name__)

EPOCH = 1_700_000_000
"""Seconds: the one time that all files of images carry where a format wants one."""
CAPABILITY = "security.capability"
"""The extended attribute of file capabilities."""
SAID = 5
"""Files that one line of the log names."""


class Tools(Protocol):
    """The programs of pkg/media-tools: their key is known before they are unpacked."""

    @property
    def key(self) -> str: ...

    def unpacked(self) -> Toolbox: ...


@dataclass(frozen=True)
class Work:
    """One step's work."""

    inputs: Mapping[str, Sequence[Path]]
    target: Path
    tools: Callable[[], Toolbox]
    size: int = 0
    """Bytes that a disk has at least."""

    def file(self, name: str) -> Path:
        (path,) = self.inputs[name]
        return path

    def read(self, name: str) -> bytes:
        return self.file(name).read_bytes()


Make = Callable[[Work], None]


def tell_lost(what: str, files: Sequence[str]) -> None:
    """Say whose capabilities have no place in what is made."""
    if files:
        log.warning(f"{what}.capabilities_lost", count=len(files), files=[*files[:SAID]])
