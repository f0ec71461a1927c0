"""The programs that make media, of the deployed revision: pkg/media-tools, built when they are first asked for.

In: the settings, a store in which something is deployed. Out: a `Toolbox`. Rules: nothing of the host's makes a medium;
what is built is found again by its key; one process at a time builds, beside a controller that may be at work (the
lease is not taken: nothing that boxes are offered changes).

    toolbox = media_tools(settings, store)
    with toolbox.workspace() as work:
        work.run(["xorriso", "-version"])
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager

from gitops.assemble.toolbox import Toolbox
from gitops.builders import builder_of
from gitops.errors import AssembleError, StoreError
from gitops.fleet import load_fleet
from gitops.settings import Settings
from gitops.store import Store
from gitops.workflows.question import deployed_point
from gitops.workflows.workshop import APPLY

MEDIA_TOOLS = "pkg/media-tools"


def media_tools(settings: Settings, store: Store) -> Toolbox:
    """The media tools of what is deployed, unpacked.

    Raises:
        StoreError: nothing is deployed. BuildError: the package does not build.
        AssembleError: the fleet repo has no such package; or this is not the superuser.
    """
    point = deployed_point(store)
    if point is None:
        raise StoreError("nothing is deployed yet, so nothing says which tools make a medium", hint=APPLY)
    tree = point[1]
    packages = load_fleet(tree, settings.platform).packages
    if MEDIA_TOOLS not in packages:
        hint = f"copy {MEDIA_TOOLS}/ from a repo that `toweros init` makes, commit it, and `toweros apply`"
        raise AssembleError(f"the deployed fleet repo has no {MEDIA_TOOLS}, which makes media", hint=hint)
    with building(store):
        image = builder_of(settings, store).build(packages[MEDIA_TOOLS], tree, packages)
        return Toolbox.unpack(store, image)


@contextmanager
def building(store: Store) -> Iterator[None]:
    """One process at a time builds what media need."""
    store.paths.toolbox.mkdir(parents=True, exist_ok=True)
    with (store.paths.toolbox / "lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
