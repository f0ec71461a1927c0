"""`toweros assemble`: LinuxKit YAML and images in, one root tar out; no fleet repo needed."""

import contextlib
import enum
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from gitops.assemble.formats.tar import write
from gitops.errors import AssembleError, FleetError, Problem
from gitops.fleet.linuxkit.spec import load
from gitops.model import Entry
from gitops.oci.layout import OciLayout


class Format(enum.StrEnum):
    """The value of `--format`."""

    tar = "tar"


class WorkingFolder:
    """The files below the working folder (or at absolute paths), read when asked for."""

    def entries(self) -> Mapping[str, Entry]:
        return {}

    def read(self, path: str) -> bytes:
        try:
            return Path(path).read_bytes()
        except OSError as error:
            raise KeyError(path) from error

    def tree_id(self, folder: str) -> str:
        raise KeyError(folder)


@contextlib.contextmanager
def _replaced(path: Path) -> Iterator[BinaryIO]:
    """A file that takes its name only when it is whole."""
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as output:
            yield output
        part.replace(path)
    except OSError as error:
        raise AssembleError(f"{path}: {error.strerror}", hint="name a file that can be written") from error
    finally:
        part.unlink(missing_ok=True)


def register(app: typer.Typer) -> None:
    app.command()(assemble)


def assemble(
    specs: Annotated[
        list[Path], typer.Argument(help="LinuxKit YAML files, merged in this order.", metavar="SPEC.yml...")
    ],
    images: Annotated[Path, typer.Option("--images", help="An OCI layout folder that holds every image named.")],
    format_: Annotated[Format, typer.Option("--format", help="What to write.")] = Format.tar,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Where to; the default is stdout.")] = None,
) -> None:
    """Put LinuxKit YAML and its images together, as `linuxkit build` does."""
    problems: list[Problem] = []
    spec = load(WorkingFolder(), [str(path) for path in specs], problems)
    if problems:
        raise FleetError(problems)
    layout = OciLayout(images)
    if out is None:
        write(spec, layout, sys.stdout.buffer)
        return
    with _replaced(out) as output:
        write(spec, layout, output)
