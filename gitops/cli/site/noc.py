"""`toweros noc`: a site's own server between boxes and their update server."""

import logging
import re
import socket
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gitops.cli.main import configure_logging
from gitops.cli.output import talk
from gitops.errors import SettingsError

if TYPE_CHECKING:
    from gitops.noc.site import Site

UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
LEAST = 64 << 20
"""Bytes below which no release fits."""


def register(app: typer.Typer) -> None:
    app.command()(noc)


def noc(
    origin: Annotated[str, typer.Option("--origin", help="The update server's URL (or another NOC's).")],
    root: Annotated[Path, typer.Option("--root", help="The fleet repo's keys/root.json: whose signatures count.")],
    state: Annotated[Path, typer.Option("--state", help="The NOC's own folder.")] = Path("/var/lib/toweros-noc"),
    listen: Annotated[str, typer.Option("--listen", help="ADDRESS:PORT for the boxes.")] = "0.0.0.0:8080",
    box: Annotated[list[str] | None, typer.Option("--box", help="Only this box; several as often as given.")] = None,
    boxes: Annotated[Path | None, typer.Option("--boxes", help="Only those of a file, one a line; read anew.")] = None,
    most: Annotated[str, typer.Option("--most", help="What its folder may hold: 20G, 500M.")] = "20G",
    poll: Annotated[float, typer.Option("--poll", min=1, help="Seconds between two looks at the origin.")] = 30.0,
    name: Annotated[str, typer.Option("--name", help="What it is called (default: this machine's name).")] = "",
    bundles: Annotated[
        Path | None, typer.Option("--bundles", help="Take bundles from here: a folder, or what is mounted in it.")
    ] = None,
    take: Annotated[
        Path | None, typer.Option("--import", help="Instead of serving: take what this bundle holds.")
    ] = None,
) -> None:
    """Mirror what a site's boxes need, proven, and serve it; pass their reports on.

    Without --box and --boxes: whoever asks.
    """
    from gitops.noc.mirror import read_root
    from gitops.noc.site import Config, Site
    from gitops.server.boxes.reports import is_name

    configure_logging(logging.INFO)
    if not re.fullmatch(r"https?://[^\s@]+", origin):
        raise SettingsError(f"--origin {origin}: an http:// or https:// URL is expected")
    called = name or socket.gethostname().partition(".")[0].lower()
    if not is_name(called):
        raise SettingsError(f"--name {called}: small letters, digits and `-` are expected")
    config = Config(
        name=called,
        origin=origin.rstrip("/"),
        root=read_root(root),
        state=state,
        listen=listen,
        boxes=tuple(box or ()),
        boxes_file=boxes,
        poll=poll,
        most=_bytes(most),
        bundles=bundles,
    )
    site = Site(config)
    if take:
        with site.alone():
            talk.print(f"taken, with all that it needs: {', '.join(site.take_in(take))}")
        return
    _serve(site)


def _serve(site: "Site") -> None:
    from gitops.server.signals import ended_by_signals

    with site.serving() as url, ended_by_signals():
        talk.print(f"NOC on {url}, origin {site.config.origin}")
        talk.print(f'for the origin to show it: nocs = ["{site.config.name}={site.contact.public}"]', soft_wrap=True)
        site.run_forever(threading.Event())


def _bytes(words: str) -> int:
    found = re.fullmatch(r"([0-9]{1,9})([KMGT]?)", words)
    size = int(found[1]) * UNITS[found[2]] if found else 0
    if size < LEAST:
        raise SettingsError(f"--most {words}: at least 64M are expected, as 500M or 20G")
    return size
