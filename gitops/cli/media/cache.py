"""`toweros cache`: the store's images, in the words of LinuxKit."""

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gitops.cli import context
from gitops.cli.context import ConfigOption, StateOption
from gitops.cli.media import image
from gitops.cli.output import Output, OutputOption, emit, talk
from gitops.cli.output import table as lines
from gitops.errors import AssembleError, TowerosError

if TYPE_CHECKING:
    from gitops.oci.files.cache import Cache

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="As `toweros cache ls` has it, or a digest.")]


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="The store's images, as LinuxKit has a cache.", no_args_is_help=True)
    group.command("ls")(ls)
    group.command("import")(image.take)
    group.command()(export)
    group.command("rm")(remove)
    group.command()(clean)
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


def export(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="As `toweros cache ls` has them, or digests.")],
    outfile: Annotated[str, typer.Option("--outfile", help="A tar, a folder (FOLDER/), or - for stdout.")],
    called: Annotated[str, typer.Option("--name", help="What the image is called there.")] = "",
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Write images as an OCI layout: a tar, or a folder, which --images and --tools of `toweros assemble` read."""
    from gitops.oci.files.cache import as_tar

    if called and len(names) > 1:
        raise TowerosError("--name is for one image")
    cache, target = _cache(config, state), Path(outfile)
    if outfile.endswith("/") or target.is_dir():
        cache.export(names, target, called)
        return
    with tempfile.TemporaryDirectory(prefix="toweros-export-") as scratch:
        cache.export(names, Path(scratch), called)
        if outfile == "-":
            as_tar(Path(scratch), sys.stdout.buffer)
            return
        try:
            with target.open("wb") as stream:
                as_tar(Path(scratch), stream)
        except OSError as error:
            raise AssembleError(f"{target}: {error.strerror}", hint="name a file that can be written") from error


def remove(name: NameArgument, config: ConfigOption = None, state: StateOption = None) -> None:
    """Forget an image; what boxes are asked to run is refused."""
    _cache(config, state).remove(name)


def clean(
    assembled: Annotated[bool, typer.Option("--assembled", help="Only what `toweros assemble` remembers.")] = False,
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Forget what `toweros assemble` remembers, and images of others that no box needs."""
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

    return Cache(context.store(config, state))
