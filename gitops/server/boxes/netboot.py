"""What machines fetch that the network starts: scripts for iPXE, kernels and initrds, the ESP for UEFI HTTP Boot.

In: who knows the boxes, the files: an update server's, or a site's own. Rules: the routes are fixed, and read nothing
but what a pass has made; what is asked for is matched whole before it is looked up; a script or an ESP that is handed
out counts as a start of its box, whoever asked (`gitops.rollout.netboot`).

    /boot/boot.ipxe                     -> asks with MAC and UUID for
    /boot/box.ipxe?mac=...&uuid=...     -> kernel and initrd of /boot/files/DIGEST
    /boot/NAME.img                      -> the ESP

A box that was installed (`netboot: {install: ...}`) is sent to its own disk: by a script that ends, or by a 404.
"""

import re
import time

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException

from gitops.assemble.boot import ipxe
from gitops.server.boxes.files import METHODS, answer, matched
from gitops.store.files.blobs import Blobs
from gitops.store.notes.netboot import BootSet
from gitops.workflows.media import handing
from gitops.workflows.media.handing import Ground

FILE = re.compile(r"([0-9a-f]{64})")
IMAGE = re.compile(r"([a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)\.img")
MAC = re.compile(r"[0-9a-f]{2}(-[0-9a-f]{2}){5}")
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
TEXT = "text/plain; charset=utf-8"
ESP = "application/vnd.efi.img"
"""IANA's; a firmware that knows another name for it goes by the ending of the path."""


def router(ground: Ground, blobs: Blobs) -> APIRouter:
    """The routes below /boot."""
    routes = APIRouter(include_in_schema=False)

    @routes.api_route("/boot/boot.ipxe", methods=METHODS)
    def first() -> Response:
        return Response(ipxe.FIRST, media_type=TEXT)

    @routes.api_route("/boot/box.ipxe", methods=METHODS)
    def box(request: Request) -> Response:
        mac, uuid = (request.query_params.get(name, "").lower() for name in ("mac", "uuid"))
        known_by = [mac.replace("-", ":")] if MAC.fullmatch(mac) else []
        known_by += [uuid] if UUID.fullmatch(uuid) else []
        name = ground.machine(known_by)
        return Response(_script(ground, name, request.method) if name else ipxe.STRANGER, media_type=TEXT)

    @routes.api_route("/boot/files/{name:path}", methods=METHODS)
    def file(name: str, request: Request) -> Response:
        return answer(request, blobs.path(matched(FILE, name)[1]))

    @routes.api_route("/boot/{name:path}", methods=METHODS)
    def image(name: str, request: Request) -> Response:
        box = matched(IMAGE, name)[1]
        found = None if _by_itself(ground, box, request.method) else _handed(ground, box, request.method)
        if found is None:
            raise HTTPException(404)
        response = answer(request, blobs.path(found.image.sha256), ESP)
        response.headers["cache-control"] = "no-cache"  # under this name it changes
        return response

    return routes


def _script(ground: Ground, box: str, method: str) -> str:
    if _by_itself(ground, box, method):
        return ipxe.OWN_DISK
    found = _handed(ground, box, method, bios=True)
    if found is None:
        return ipxe.STRANGER
    # The image by its digest: it is read in many requests, which are one start, of one release.
    kernel, initrd, image = (f"files/{each.sha256}" for each in (found.kernel, found.initrd, found.image))
    return ipxe.script(box, found.sequence, kernel, initrd, found.line, image)


def _by_itself(ground: Ground, box: str, method: str) -> bool:
    return handing.by_itself(ground, box, int(time.time()), count=method == "GET")


def _handed(ground: Ground, box: str, method: str, *, bios: bool = False) -> BootSet | None:
    return handing.hand_out(ground, box, int(time.time()), count=method == "GET", bios=bios)
