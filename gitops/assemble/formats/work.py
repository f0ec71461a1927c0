"""What a step of a chain gets: the files that it needs, the file that it makes, the tools.

def kernel(work: Work) -> None:
    shutil.copyfile(work.file("boot"), work.target)
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from gitops.assemble.toolbox import Toolbox

EPOCH = 1_700_000_000
"""Seconds: the one time that all files of images carry where a format wants one."""


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

    def file(self, name: str) -> Path:
        (path,) = self.inputs[name]
        return path

    def read(self, name: str) -> bytes:
        return self.file(name).read_bytes()


Make = Callable[[Work], None]
