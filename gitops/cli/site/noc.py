"""`toweros noc`: a site's own server between boxes and their update server."""

import logging
import re
import socket
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gitops.cli.main import configure_logging
from gitops.cli.output import Output, OutputOption, emit, table, talk
from gitops.cli.sizes import size
from gitops.errors import SettingsError, TowerosError

if TYPE_CHECKING:
    from gitops.noc.site import Site
    from gitops.settings import Settings

LEAST = 64 << 20
"""Bytes below which no release fits."""

RootOption = Annotated[
    Path | None, typer.Option("--root", help="The fleet repo's keys/root.json: whose signatures count.")
]
BundlesOption = Annotated[
    Path | None, typer.Option("--bundles", help="Take bundles from here: a folder, or what is mounted in it.")
]
LabelOption = Annotated[
    list[str] | None, typer.Option("--label", help="Those with this label, KEY=VALUE, and a `noc:`; all must fit.")
]
RepoOption = Annotated[
    Path | None,
    typer.Option("--repo", help="A toweros.toml that names the fleet repo: build what is offered, and compare."),
]
StatusOption = Annotated[
    bool, typer.Option("--status", help="Instead of serving: what the NOC that runs in --state says of itself.")
]


def register(app: typer.Typer) -> None:
    app.command()(noc)


def noc(
    origin: Annotated[str, typer.Option("--origin", help="The update server's URL (or another NOC's).")] = "",
    root: RootOption = None,
    state: Annotated[Path, typer.Option("--state", help="The NOC's own folder.")] = Path("/var/lib/toweros-noc"),
    listen: Annotated[str, typer.Option("--listen", help="ADDRESS:PORT for the boxes.")] = "0.0.0.0:8080",
    box: Annotated[list[str] | None, typer.Option("--box", help="Only this box; several as often as given.")] = None,
    boxes: Annotated[Path | None, typer.Option("--boxes", help="Only those of a file, one a line; read anew.")] = None,
    site: Annotated[str, typer.Option("--site", help="The boxes of which Git says `site: SITE`.")] = "",
    label: LabelOption = None,
    most: Annotated[str, typer.Option("--most", help="What its folder may hold: 20G, 500M.")] = "20G",
    poll: Annotated[float, typer.Option("--poll", min=1, help="Seconds between two looks at the origin.")] = 30.0,
    name: Annotated[str, typer.Option("--name", help="What it is called (default: this machine's name).")] = "",
    bundles: BundlesOption = None,
    repo: RepoOption = None,
    build: Annotated[bool, typer.Option("--build", help="With --repo: fetch no layer that can be built here.")] = False,
    prove: Annotated[
        bool, typer.Option("--prove", help="With --repo, instead of serving: build and compare once.")
    ] = False,
    status: StatusOption = False,
    output: OutputOption = Output.table,
    take: Annotated[
        Path | None, typer.Option("--import", help="Instead of serving: take what this bundle holds.")
    ] = None,
) -> None:
    """Mirror what a site's boxes need, proven, and serve it; pass their reports on.

    Without --box, --boxes, --site and --label: whoever asks.
    """
    from gitops.noc.mirror import read_root
    from gitops.noc.site import Config, Site

    if status:
        return _status(state, output)
    config = Config(
        name=_called(name),
        origin=_url(origin),
        root=read_root(_given(root)),
        state=state,
        listen=listen,
        boxes=tuple(box or ()),
        boxes_file=boxes,
        site=site,
        labels=tuple(label or ()),
        poll=poll,
        most=_bytes(most),
        bundles=bundles,
        repo=_repo(repo, asked=build or prove),
        build=build,
    )
    here = Site(config)
    if prove:
        _prove(here, output)
    elif take:
        _take(here, take)
    else:
        _serve(here)


def _take(site: "Site", bundle: Path) -> None:
    with site.alone():
        talk.print(f"taken, with all that it needs: {', '.join(site.take_in(bundle))}")


def _url(origin: str) -> str:
    if not origin:
        raise SettingsError("--origin is missing", hint="name the update server's URL, as http://updates.example:8080")
    if not re.fullmatch(r"https?://[^\s@]+", origin):
        raise SettingsError(f"--origin {origin}: an http:// or https:// URL is expected")
    return origin.rstrip("/")


def _status(state: Path, output: Output) -> None:
    from gitops.noc.showing.asking import asked, rows

    found = asked(state)
    emit(found, output, lambda: table(["", ""], rows(found, time.time())))


def _given(root: Path | None) -> Path:
    if root is None:
        raise SettingsError("--root is missing", hint="name the fleet repo's keys/root.json")
    return root


def _called(name: str) -> str:
    from gitops.server.boxes.reports import is_name

    called = name or socket.gethostname().partition(".")[0].lower()
    if not is_name(called):
        raise SettingsError(f"--name {called}: small letters, digits and `-` are expected")
    return called


def _repo(file: Path | None, *, asked: bool) -> "Settings | None":
    """Raises SettingsError: it is no such file, or names no fleet repo."""
    from gitops.settings import load

    if file is None:
        if asked:
            raise SettingsError("nothing is built without the fleet repo", hint="name a toweros.toml with --repo")
        return None
    found = load(file)
    if not found.repository:
        raise SettingsError(
            f"{file} names no fleet repo", hint='it needs a line as repository = "https://git.example/f"'
        )
    return found


def _prove(site: "Site", output: Output) -> None:
    """What is offered, built here; raises TowerosError when any of it is not the same, or nobody can tell."""
    with site.alone():
        state = site.once()
        if site.prover and not state.since:
            talk.print("building what is offered; this takes as long as its first build")
            site.prover.work()
    if state.since:
        raise TowerosError(f"the origin is not there: {state.error}", hint="see docs/noc.md")
    if not state.boxes:
        hint = "nobody has asked yet in this folder: name them with --box, --boxes, --site or --label"
        raise TowerosError("nothing was proven: no box is known here", hint=hint)
    proofs = site.state().proofs
    rows = [{"box": box, **asdict(proof)} for box, proof in sorted(proofs.items())]
    shown = [[str(row["box"]), str(row["outcome"]), "\n".join(row["parts"]) or row["says"]] for row in rows]
    emit(rows, output, lambda: table(["BOX", "", "SAYS"], shown))
    if wrong := [box for box in state.boxes if box not in proofs or proofs[box].outcome != "same"]:
        hint = "one of the two builds is not of this commit and its locks: build it on a third machine"
        raise TowerosError(f"{', '.join(wrong[:9])}: not proven to be what Git says", hint=hint)


def _serve(site: "Site") -> None:
    from gitops.noc.showing.asking import note
    from gitops.server.signals import ended_by_signals

    configure_logging(logging.INFO)
    with site.serving() as url, ended_by_signals():
        note(site.config.state, url)
        talk.print(f"NOC on {url}, origin {site.config.origin}")
        talk.print(f'for the origin to show it: nocs = ["{site.config.name}={site.contact.public}"]')
        site.run_forever(threading.Event())


def _bytes(words: str) -> int:
    most = size(words) or 0
    if most < LEAST:
        raise SettingsError(f"--most {words}: at least 64M are expected, as 500M or 20G")
    return most
