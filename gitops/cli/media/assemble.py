"""`toweros assemble`: LinuxKit YAML and images in, any of LinuxKit's formats out; no fleet repo needed."""

import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gitops.assemble.formats.last import Last
from gitops.assemble.formats.names import FORMATS, STREAMED, TOOLS
from gitops.cli import context, sizes
from gitops.cli.context import ConfigOption, StateOption
from gitops.cli.output import talk
from gitops.errors import FleetError, Problem, TowerosError

if TYPE_CHECKING:  # these take long to load, and nothing of them is needed where nothing changed
    from gitops.assemble.formats.work import Tools
    from gitops.fleet.linuxkit.files import WorkingFolder
    from gitops.model import Spec

STRANGE = {"rpi3": "it is for another processor; here is amd64 alone", "ormat": "two dashes: --format"}
"""Words that are no formats -> what to do."""
STDIN = "-"
STDIN_NAME = "moby"
"""What LinuxKit calls what it reads from stdin."""
HERE = Path()
RELEASE = "release"
EVERY = (*FORMATS, RELEASE)
"""LinuxKit's formats, and our own."""
LARGEST = 2047 << 30
"""Bytes that an MBR can address (32 bits of sectors)."""
SBOM = "sbom.spdx.json"
CACHE, IN_HOME = "LINUXKIT_CACHE", ".linuxkit/cache"
"""Where LinuxKit keeps its images: a variable of the environment, or a folder of the user's."""
ImagesOption = Annotated[
    Path | None,
    typer.Option(
        "--images", "--cache", help="An OCI layout folder with every image named (default: LinuxKit's cache)."
    ),
]
OutOption = Annotated[
    str | None, typer.Option("--out", "--o", "-o", help="Where tar or docker goes; - or nothing is stdout.")
]
ArchOption = Annotated[str, typer.Option(help="The processor: amd64, or x86_64.")]
InputTarOption = Annotated[
    Path | None,
    typer.Option("--input-tar", help="The tar of an earlier build: what did not change is remembered anyway."),
]
DockerOption = Annotated[bool, typer.Option("--docker", help="Taken, without effect: images come from --images.")]


def register(app: typer.Typer) -> None:
    app.command()(assemble)


def assemble(
    specs: Annotated[
        list[str],
        typer.Argument(help="LinuxKit YAML, merged in this order: files, URLs, or - for stdin.", metavar="SPEC.yml..."),
    ],
    images: ImagesOption = None,
    format_: Annotated[
        list[str] | None,
        typer.Option("--format", "-f", help=f"What to write, also several: {', '.join(EVERY)}.", metavar="FORMAT"),
    ] = None,
    out: OutOption = None,
    name: Annotated[str | None, typer.Option("--name", help="How names of files begin (default: the spec's).")] = None,
    folder: Annotated[Path | None, typer.Option("--dir", help="The folder of the files.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the merged YAML, and make nothing.")] = False,
    tools: Annotated[
        Path | None, typer.Option("--tools", help="An OCI layout folder with pkg/media-tools (default: the store's).")
    ] = None,
    size: Annotated[
        str, typer.Option(help="Of a disk, at least: 2G, or MiB as 1024M or 1024 (default: what it needs).")
    ] = "",
    no_sbom: Annotated[
        bool, typer.Option("--no-sbom", help="Leave the list of what is inside out of the root.")
    ] = False,
    sbom: Annotated[str, typer.Option("--sbom-output", help="That list's file in the root.")] = SBOM,
    arch: ArchOption = "amd64",
    before: InputTarOption = None,
    docker: DockerOption = False,
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Put LinuxKit YAML and its images together, as `linuxkit build` does."""
    formats = _formats(format_ or ["tar"])
    _check(formats, out, name, folder, specs.count(STDIN), sbom)
    _check_linuxkits(arch, before, out)
    del docker
    images = images or _linuxkits_cache()
    listed = "" if no_sbom else sbom
    asked = Asked(specs, images, formats, out, name, folder, tools, _bytes(size), listed, config, state)
    began, last = time.time_ns(), asked.last()
    if not dry_run and last and (files := last.files()):
        _tell(files)
        return
    from gitops.fleet.linuxkit.files import WorkingFolder

    given = WorkingFolder.holding(specs, sys.stdin.buffer)
    spec = _spec(given, specs)
    if dry_run:
        from gitops.assemble.root.metadata import text

        typer.echo(text(spec, "yaml"), nl=False)
        return
    if images is None:
        raise TowerosError("nothing says where the images are", hint="--images FOLDER, an OCI layout; see --help")
    files = _write(asked, spec, images)
    _tell(files)
    if last and files:
        indexes = [place / "index.json" for place in (images, tools) if place]
        last.remember([*given.asked, *indexes], files, began)


@dataclass(frozen=True)
class Asked:
    """What the command line says."""

    specs: list[str]
    images: Path | None
    formats: list[str]
    out: str | None
    name: str | None
    folder: Path | None
    tools: Path | None
    size: int
    sbom: str
    config: Path | None
    state: Path | None

    @property
    def streamed(self) -> bool:
        """To stdout, or to one file."""
        return self.name is None and self.folder is None and len(self.formats) == 1 and self.formats[0] in STREAMED

    @property
    def called(self) -> str:
        """How names of files begin."""
        return self.name or (STDIN_NAME if self.specs[-1] == STDIN else Path(self.specs[-1]).stem)

    def last(self) -> Last | None:
        """The same command's last turn; None where what it is made of may change unseen."""
        unseen = any(name == STDIN or "://" in name for name in self.specs) or RELEASE in self.formats
        if unseen or self.streamed or (self.tools is None and TOOLS & set(self.formats)):
            return None
        settings = [
            f"{key}={value}" for key, value in sorted(os.environ.items()) if key.startswith("TOWEROS_") or key == CACHE
        ]
        return Last((self.state or context.users_cache()) / "assembled", [*sys.argv[1:], *settings])


def _write(asked: Asked, spec: "Spec", images: Path) -> list[Path]:
    """The files; none, when a stream or one file was asked for."""
    from gitops.assemble.formats.assembly import Assembly
    from gitops.assemble.formats.memory import Memory
    from gitops.oci.layout import OciLayout
    from gitops.store.files.layout import Layout
    from gitops.workflows.media.sbom import sbom_piece

    settings = context.settings(asked.config, asked.state)
    place = context.assembling(settings, asked=asked.state is not None)
    memory, layout = Memory(Layout(place).assembled), OciLayout(images)
    memory.forget()

    def tools() -> "Tools":
        from gitops.workflows.media.assembling import tools as find

        return find(asked.tools, place, settings, lambda: context.existing_store(settings))

    more = [sbom_piece(spec, layout, memory, asked.sbom)] if asked.sbom else []
    base = (asked.folder or HERE) / asked.called
    with Assembly(spec, layout, memory, tools, more, asked.size) as assembly:
        if asked.streamed and asked.out in (None, "-"):
            assembly.stream(asked.formats[0], sys.stdout.buffer)
            return []
        if asked.streamed:
            assembly.place(asked.formats[0], Path(str(asked.out)))
            return []
        written = assembly.write([each for each in asked.formats if each != RELEASE], base)
    if RELEASE in asked.formats:
        from gitops.workflows.media.release_folder import write_release
        from gitops.workflows.media.sbom import with_sbom

        spec = with_sbom(spec, layout, memory, asked.sbom) if asked.sbom else spec
        store = context.store(asked.config, asked.state)
        written += write_release(base.with_name(f"{base.name}-release"), store, asked.called, spec, layout)
    return written


def _tell(files: list[Path]) -> None:
    for path in files:
        talk.print(str(path))


def _bytes(word: str) -> int:
    """LinuxKit's words for a size: MiB, or with M or G behind."""
    asked = None if word.endswith(("K", "T")) else sizes.size(word, alone="M")
    if word and not 0 < (asked or 0) <= LARGEST:
        raise TowerosError(f"--size {word} is no size of a disk", hint="such as 2G or 1024M; at most 2047G")
    return asked or 0


def _formats(asked: list[str]) -> list[str]:
    formats = [word.strip() for words in asked for word in words.split(",")]
    if unknown := [word for word in formats if word not in EVERY]:
        hint = STRANGE.get(unknown[0], f"there are {', '.join(EVERY)}")
        raise TowerosError(f"there is no format {unknown[0] or '(empty)'}", hint=hint)
    return list(dict.fromkeys(formats))


def _check(formats: list[str], out: str | None, name: str | None, folder: Path | None, again: int, sbom: str) -> None:
    if out == "":
        raise TowerosError("--out names nothing", hint="a file, or - for stdout")
    if out is not None and (name or folder):
        raise TowerosError("--out names one file, --name and --dir name many", hint="leave one of them out")
    if out is not None and (len(formats) > 1 or formats[0] not in STREAMED):
        raise TowerosError("--out is for tar or docker alone", hint="name other formats' files by --name and --dir")
    if name is not None and (not name or "/" in name or name in (".", "..")):
        raise TowerosError("--name is how file names begin, not a path", hint="say the folder by --dir")
    if not sbom or "/" in sbom or sbom in (".", ".."):
        raise TowerosError("--sbom-output is the name of a file in the root", hint=f"such as {SBOM}")
    if again > 1:
        raise TowerosError("stdin is named more than once, and can be read once")


def _check_linuxkits(arch: str, before: Path | None, out: str | None) -> None:
    """What LinuxKit takes beside; the tar is not read, as it could only say what the images say."""
    check_arch(arch)
    if before is not None and not before.is_file():
        raise TowerosError(f"--input-tar {before}: there is no such file", hint="name the tar of an earlier build")
    if before is not None and out is not None and Path(out).absolute() == before.absolute():
        raise TowerosError("--input-tar and --out are one file", hint="name another one by --out")


def check_arch(arch: str) -> None:
    """Raises TowerosError: it is another processor than ours."""
    if arch not in ("amd64", "x86_64"):
        raise TowerosError(f"--arch {arch} is not one that is assembled here", hint="leave it away, or say amd64")


def _linuxkits_cache() -> Path | None:
    place = Path(os.environ.get(CACHE) or Path.home() / IN_HOME)
    return place if (place / "index.json").is_file() else None


def _spec(given: "WorkingFolder", specs: list[str]) -> "Spec":
    from gitops.fleet.linuxkit.spec import load

    problems: list[Problem] = []
    spec = load(given, specs, problems)
    if problems:
        raise FleetError(problems, "the specs")
    return spec
