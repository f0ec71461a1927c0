"""The programs that make media, of the deployed revision: pkg/media-tools, built when they are first asked for.

In: the settings, a store in which something is deployed. Out: a `Toolbox`. Rules: nothing of the host's makes a medium;
what is built is found again by its key; one process at a time builds, beside a controller that may be at work (the
lease is not taken: nothing that boxes are offered changes).

    toolbox = media_tools(settings, store)
    with toolbox.workspace() as work:
        work.run(["xorriso", "-version"])
"""

import fcntl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gitops.assemble.release import INITRD
from gitops.assemble.tars import extract
from gitops.assemble.toolbox import Toolbox
from gitops.builders import builder_of
from gitops.errors import AssembleError, StoreError
from gitops.fleet import load_fleet
from gitops.settings import Settings
from gitops.store import Store
from gitops.workflows.question import deployed_point
from gitops.workflows.workshop import APPLY, images

MEDIA_TOOLS = "pkg/media-tools"


def media_tools(settings: Settings, store: Store, *, wait: bool = True) -> Toolbox:
    """The media tools of what is deployed, unpacked. `wait`: until another process has built what it needs.

    Raises:
        StoreError: nothing is deployed. BuildError: the package does not build.
        AssembleError: the fleet repo has no such package; this is not the superuser; or another process builds.
    """
    point = deployed_point(store)
    if point is None:
        raise StoreError("nothing is deployed yet, so nothing says which tools make a medium", hint=APPLY)
    tree = point[1]
    packages = load_fleet(tree, settings.platform).packages
    if MEDIA_TOOLS not in packages:
        hint = f"copy {MEDIA_TOOLS}/ from a repo that `toweros init` makes, commit it, and `toweros apply`"
        raise AssembleError(f"the deployed fleet repo has no {MEDIA_TOOLS}, which makes media", hint=hint)
    with building(store, wait=wait):
        image = builder_of(settings, store).build(packages[MEDIA_TOOLS], tree, packages)
        return Toolbox.unpack(store, image)


def check_initrd(store: Store, file: str = "place", what: str = "starts from disks alone") -> None:
    """An initrd can do what the file is there for. `place`: start from elsewhere than a disk.

    Raises:
        AssembleError: this fleet's is an older one.
    """
    initrd = images(store, store.existing().packages).get(INITRD)
    with tempfile.TemporaryDirectory(dir=store.paths.root, prefix=".extract-") as folder:
        tars = [store.blobs.path(digest) for digest in initrd.layers] if initrd else []
        if not extract(tars, file, Path(folder, "file")):
            hint = "`toweros upgrade` brings one, then `toweros apply`"
            raise AssembleError(f"this fleet's initrd is an older one, which {what}", hint=hint)


@contextmanager
def building(store: Store, *, wait: bool = True) -> Iterator[None]:
    """One process at a time builds what media need.

    Raises:
        AssembleError: another one does, and nobody is to wait for it.
    """
    store.paths.toolbox.mkdir(parents=True, exist_ok=True)
    with (store.paths.toolbox / "lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError as error:
            hint = "the next pass tries again"
            raise AssembleError("another process builds what makes media", hint=hint) from error
        yield
