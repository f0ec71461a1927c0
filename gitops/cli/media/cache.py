"""`toweros cache`: the store's images, in the words of LinuxKit."""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from gitops.cli import context
from gitops.cli.audit.recorded import audited
from gitops.cli.context import ConfigOption, StateOption
from gitops.cli.media import image
from gitops.cli.media.assemble import ArchOption, check_arch
from gitops.cli.output import Output, OutputOption, emit, talk
from gitops.cli.output import table as lines
from gitops.cli.showing.asking import YesOption, sure
from gitops.errors import AssembleError, TowerosError
from gitops.files.whole import whole
from gitops.model import Json
from gitops.review.words import moment

if TYPE_CHECKING:
    from gitops.oci.files.cache import Cache

NamesArgument = Annotated[
    list[str], typer.Argument(metavar="NAME...", help="As `toweros cache ls` has them, or digests.")
]


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="The store's images, as LinuxKit has a cache.", no_args_is_help=True)
    group.command("ls")(ls)
    group.command("import")(image.take)
    group.command()(export)
    group.command("rm")(audited("cache.rm", "names")(remove))
    group.command()(audited("cache.clean")(clean))
    group.command()(deltas)
    app.add_typer(group, name="cache")


def ls(output: OutputOption = Output.table, config: ConfigOption = None, state: StateOption = None) -> None:
    """List the images: packages that were built, and images of others."""
    rows = [
        {"name": name, "digest": f"sha256:{one.digest}", "bytes": one.size}
        for one in _cache(config, state).images()
        for name in one.names
    ]
    shown = [[str(row["name"]), str(row["bytes"]), str(row["digest"])] for row in rows]
    emit(rows, output, lambda: lines(["NAME", "BYTES", "DIGEST"], shown))


class Form(StrEnum):
    """In which form images leave."""

    oci = "oci"
    filesystem = "filesystem"


def export(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="As `toweros cache ls` has them, or digests.")],
    outfile: Annotated[str, typer.Option("--outfile", help="A tar, a folder (FOLDER/), or - for stdout.")],
    called: Annotated[str, typer.Option("--name", help="What the image is called there.")] = "",
    form: Annotated[Form, typer.Option("--format", help="`filesystem`: what is in it, as one tar.")] = Form.oci,
    arch: ArchOption = "amd64",
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Write images as an OCI layout: a tar, or a folder, which --images and --tools of `toweros assemble` read."""
    check_arch(arch)
    if not outfile:
        raise TowerosError("--outfile names nothing", hint="a tar, a folder (FOLDER/), or - for stdout")
    if len(names) > 1 and (called or form == Form.filesystem):
        raise TowerosError(f"{'--name' if called else '--format filesystem'} is for one image")
    cache = _cache(config, state)
    if form == Form.filesystem:
        _filesystem(cache, names[0], outfile)
        return
    if outfile.endswith("/") or Path(outfile).is_dir():
        cache.export(names, Path(outfile), called)
        return
    from gitops.oci.files.cache import as_tar

    with tempfile.TemporaryDirectory(prefix="toweros-export-") as scratch:
        cache.export(names, Path(scratch), called)
        with _output(outfile) as stream:
            as_tar(Path(scratch), stream)


def _filesystem(cache: "Cache", name: str, outfile: str) -> None:
    from gitops.assemble.formats.tar import write_tree
    from gitops.assemble.tars import tree_of

    tree = tree_of(cache.plain(name))
    with _output(outfile) as stream:
        write_tree(tree, stream)


@contextmanager
def _output(name: str) -> Iterator[BinaryIO]:
    """A file that was named, which is whole or not there; or stdout."""
    if name == "-":
        yield sys.stdout.buffer
        return
    try:
        with whole(Path(name)) as stream:
            yield stream
    except OSError as error:
        where = error.filename or name
        raise AssembleError(f"{where}: {error.strerror}", hint="name a file that can be written") from error


def remove(
    names: NamesArgument, yes: YesOption = False, config: ConfigOption = None, state: StateOption = None
) -> None:
    """Forget images; what boxes are asked to run is refused."""
    cache, wanted = _cache(config, state), list(dict.fromkeys(names))
    sure(f"images that are forgotten are built or pulled again when they are needed: {len(wanted)} of them", yes)
    for name in wanted:
        cache.remove(name)


def deltas(output: OutputOption = Output.table, config: ConfigOption = None, state: StateOption = None) -> None:
    """List the deltas between layers: their bytes, those of the whole layer, and when one was fetched last."""
    from gitops.store.files.deltas import Deltas

    store = context.known_store(config, state)
    rows: list[Json] = []
    for each in Deltas(store.paths.layers).each():
        whole = store.layers.zst(each.new)
        size = whole.stat().st_size if whole.is_file() else 0
        rows.append({"from": each.old, "to": each.new, "bytes": each.size, "whole": size, "used": each.used})
    shown = [[str(row["from"])[:12], str(row["to"])[:12], *(str(row[name]) for name in ("bytes", "whole")),
              moment(int(str(row["used"])))] for row in rows]  # fmt: skip
    emit(rows, output, lambda: lines(["FROM", "TO", "BYTES", "WHOLE", "USED"], shown))


def clean(
    assembled: Annotated[bool, typer.Option("--assembled", help="Only what `toweros assemble` remembers.")] = False,
    only: Annotated[bool, typer.Option("--deltas", help="Only deltas between layers; boxes fetch whole ones.")] = False,
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Forget what `toweros assemble` remembers, and images of others that no box needs."""
    if only:
        from gitops.store.files.deltas import Deltas

        kept = Deltas(context.known_store(config, state).paths.layers)
        talk.print(f"{sum(kept.remove(each.old, each.new) for each in [*kept.each()])} bytes of deltas")
        return
    from gitops.assemble.formats.memory import Memory
    from gitops.store.files.layout import Layout

    settings = context.settings(config, state)
    place = context.assembling(settings, asked=state is not None)
    talk.print(f"{Memory(Layout(place).assembled).forget(0)} bytes of assembled files")
    if not assembled and (store := context.existing_store(settings)):
        from gitops.oci.files.cache import Cache

        for one in Cache(store).clean():
            talk.print(one.names[0])


def _cache(config: Path | None, state: Path | None) -> "Cache":
    from gitops.oci.files.cache import Cache

    return Cache(context.known_store(config, state))
