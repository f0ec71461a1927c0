"""Both documents of an inventory, by their kind: `cdx` (CycloneDX 1.6 JSON) and `spdx` (SPDX 2.3 JSON).

documents(inventory)["cdx"]
"""

from gitops.model import Inventory
from gitops.security.sbom.spdx import spdx

KINDS = ("cdx", "spdx")


def documents(inventory: Inventory) -> dict[str, bytes]:
    """The documents' bytes: equal for equal inventories."""
    from gitops.security.sbom.cyclonedx import cyclonedx  # its library is a tenth of the start of every verb

    return {"cdx": cyclonedx(inventory), "spdx": spdx(inventory)}
