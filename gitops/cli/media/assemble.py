"""`toweros assemble`: LinuxKit YAML and images in, any of LinuxKit's formats out; no fleet repo needed."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from gitops.assemble.formats.assembly import Assembly
from gitops.assemble.formats.chain import FORMATS, STREAMED
from gitops.assemble.formats.memory import Memory
from gitops.assemble.formats.work import Tools
from gitops.assemble.root.metadata import text
from gitops.cli import context
from gitops.cli.context import ConfigOption, StateOption
from gitops.cli.output import talk
from gitops.errors import FleetError, Problem, TowerosError
from gitops.fleet.linuxkit.files import STDIN, WorkingFolder
from gitops.fleet.linuxkit.spec import load
from gitops.model import Spec
from gitops.oci.layout import OciLayout
from gitops.store.files.layout import Layout

__all__ = ["WorkingFolder"]

STDIN_NAME = "moby"
"""What LinuxKit calls what it reads from stdin."""
HERE = Path()


def register(app: typer.Typer) -> None:
    app.command()(assemble)


def assemble(
    specs: Annotated[
        list[str],
        typer.Argument(help="LinuxKit YAML, merged in this order: files, URLs, or - for stdin.", metavar="SPEC.yml..."),
    ],
    images: Annotated[
        Path | None, typer.Option("--images", help="An OCI layout folder that holds every image named.")
    ] = None,
    format_: Annotated[
        list[str] | None,
        typer.Option("--format", "-f", help=f"What to write, also several: {', '.join(FORMATS)}.", metavar="FORMAT"),
    ] = None,
    out: Annotated[
        str | None, typer.Option("--out", "-o", help="Where tar or docker goes; - or nothing is stdout.")
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="How names of files begin (default: the spec's).")] = None,
    folder: Annotated[Path | None, typer.Option("--dir", help="The folder of the files.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the merged YAML, and make nothing.")] = False,
    tools: Annotated[
        Path | None, typer.Option("--tools", help="An OCI layout folder with pkg/media-tools (default: the store's).")
    ] = None,
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Put LinuxKit YAML and its images together, as `linuxkit build` does."""
    formats = _formats(format_ or ["tar"])
    _check(formats, out, name, folder, specs.count(STDIN))
    spec = _spec(specs)
    if dry_run:
        typer.echo(text(spec, "yaml"), nl=False)
        return
    if images is None:
        raise TowerosError("nothing says where the images are", hint="--images FOLDER, an OCI layout; see --help")
    settings = context.settings(config, state)
    place = context.assembling(settings, asked=state is not None)
    memory = Memory(Layout(place).assembled)

    def wanted() -> Tools:
        from gitops.workflows.media.assembling import tools as find  # takes long to load, and few formats need them

        return find(tools, place, settings, lambda: context.existing_store(settings))

    with Assembly(spec, OciLayout(images), memory, wanted) as assembly:
        _write(assembly, formats, out, name, folder, specs[-1])
    memory.forget()


def _write(
    assembly: Assembly, formats: list[str], out: str | None, name: str | None, folder: Path | None, last: str
) -> None:
    if name is None and folder is None and (len(formats) == 1 and formats[0] in STREAMED):
        if out in (None, "-"):
            assembly.stream(formats[0], sys.stdout.buffer)
        else:
            assembly.place(formats[0], Path(str(out)))
        return
    named = name or (STDIN_NAME if last == STDIN else Path(last).stem)
    for path in assembly.write(formats, (folder or HERE) / named):
        talk.print(str(path), soft_wrap=True)


def _formats(asked: list[str]) -> list[str]:
    formats = [word.strip() for words in asked for word in words.split(",")]
    if unknown := [word for word in formats if word not in FORMATS]:
        raise TowerosError(f"there is no format {unknown[0] or '(empty)'}", hint=f"there are {', '.join(FORMATS)}")
    return list(dict.fromkeys(formats))


def _check(formats: list[str], out: str | None, name: str | None, folder: Path | None, again: int) -> None:
    if out is not None and (name or folder):
        raise TowerosError("--out names one file, --name and --dir name many", hint="leave one of them out")
    if out is not None and (len(formats) > 1 or formats[0] not in STREAMED):
        raise TowerosError("--out is for tar or docker alone", hint="name other formats' files by --name and --dir")
    if name is not None and (not name or "/" in name or name in (".", "..")):
        raise TowerosError("--name is how file names begin, not a path", hint="say the folder by --dir")
    if again > 1:
        raise TowerosError("stdin is named more than once, and can be read once")


def _spec(specs: list[str]) -> Spec:
    problems: list[Problem] = []
    spec = load(WorkingFolder.holding(specs, sys.stdin.buffer), specs, problems)
    if problems:
        raise FleetError(problems, "the specs")
    return spec
