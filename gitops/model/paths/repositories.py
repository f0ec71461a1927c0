"""Which small repository a target is in, and how its files are called. Pure.

repository_of("demo-1/release.json")        # "boxes/demo-1": metadata/boxes/demo-1/timestamp.json, ...
repository_of("claims.new/5d0c...")         # "claims/5d0c..."
repository_of(site_path("roof", "demo-1"))  # "sites/...": which boxes a site has, for its own server
"""

from gitops.model.digest import sha256
from gitops.model.machines.newcomer import CLAIMS

BOXES, KEYS, SITES = "boxes", "claims", "sites"
"""The folders below the metadata: of boxes and of a role's newcomers by name, of machines without a name by key, of
sites by the SHA-256 of their name (that of nothing: all boxes with labels)."""
PLACES = "sites.new"
"""How the targets begin that say where boxes are: no box can be called so. Nobody fetches them."""
MEMBER = "of"
"""The member of each timestamp that says which repository it is of: all are signed by the same keys, so without it one
box's could be shown to another, whose versions would never catch up."""


def repository_of(path: str) -> str:
    """The repository of a target."""
    first, _, rest = path.partition("/")
    if first == PLACES:
        return f"{SITES}/{rest.partition('/')[0]}"
    return f"{KEYS}/{rest}" if first == CLAIMS else f"{BOXES}/{first}"


def box_repository(box: str) -> str:
    return f"{BOXES}/{box}"


def site_repository(site: str) -> str:
    return f"{SITES}/{sha256(site.encode())}"


def site_path(site: str, box: str) -> str:
    """The target that says that a box is at a site."""
    return f"{PLACES}/{sha256(site.encode())}/{box}"
