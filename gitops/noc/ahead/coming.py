"""What waits for its turn at a site's boxes: it is there when they ask.

In: `next` of the signed metadata, by box. Out: its files in the copy. Rules: what is wrong with it holds nothing up, as
nobody is offered it yet: boxes ask the source then; it is needed as long as it is named.

    ahead(passed.offers.stated, bring)      # bring("demo-1", {"release.json": BlobRef(...), ...})
"""

from collections.abc import Callable, Iterator, Mapping

import structlog

from gitops.errors import TowerosError
from gitops.model import BlobRef, Json
from gitops.noc.origin import OriginError
from gitops.publish.targets import NEXT

log = structlog.get_logger(__name__)

FILES = {"release": "release.json", "uki": "uki.efi", "addon": "addon.efi"}
WRONG = (ValueError, KeyError, TypeError)
"""What words about it that are none end in."""


def ahead(stated: Mapping[str, Json], bring: Callable[[str, Mapping[str, BlobRef]], None]) -> None:
    """Bring it, box by box, as long as the source is there."""
    for box, targets in coming(stated):
        try:
            bring(box, targets)
        except (TowerosError, OSError) as error:
            log.warning("noc.coming", box=box, why=str(error))
            if isinstance(error, OriginError) and not (error.missing or error.large):
                return


def coming(stated: Mapping[str, Json]) -> Iterator[tuple[str, dict[str, BlobRef]]]:
    """Box -> the files of what is next there, by name; none of a box of which nothing can be understood."""
    for box, said in stated.items():
        try:
            refs = {name: said[NEXT][member] for member, name in FILES.items()} if NEXT in said else {}
            targets = {name: BlobRef(str(each["sha256"]), int(each["size"])) for name, each in refs.items()}
        except WRONG:
            continue
        if targets:
            yield box, targets
