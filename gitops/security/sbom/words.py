"""What both kinds of document say alike: names and addresses of components, and the subject.

In: an `Inventory`. Out: package URLs (purl-spec), an identity. Rules: whatever a document needs that the inventory has
not (serial numbers, times, names) is derived from its digest or fixed, so that equal inventories give equal bytes.
"""

import uuid
from datetime import UTC, datetime

from packageurl import PackageURL

from gitops.model import Component, Ecosystem, Inventory, sha256

NAME = "toweros-contents"
FIXED_TIME = datetime(1970, 1, 1, tzinfo=UTC)
"""Stands where a format asks when a document was made: the same input must give the same bytes. Layers have it too."""
TYPES = {
    Ecosystem.debian: "deb",
    Ecosystem.alpine: "apk",
    Ecosystem.rpm: "rpm",
    Ecosystem.pypi: "pypi",
    Ecosystem.generic: "generic",
}


def digest(inventory: Inventory) -> str:
    return sha256(inventory.encode())


def serial(inventory: Inventory) -> uuid.UUID:
    """A name-based UUID (RFC 9562, version 5)."""
    return uuid.uuid5(uuid.NAMESPACE_OID, digest(inventory))


def purl(component: Component, inventory: Inventory) -> PackageURL:
    """The component's package URL, with distribution and source package where advisories ask for them."""
    system = component.distribution or inventory.distribution
    kind = TYPES[component.ecosystem]
    if component.ecosystem is Ecosystem.pypi:
        return PackageURL(kind, name=component.name, version=component.version)
    if component.ecosystem is Ecosystem.generic:
        told = {"checksum": f"sha256:{component.sha256}", "download_url": component.source}
        return PackageURL(kind, name=component.name, version=component.version, qualifiers=told)
    vendor = system.partition(":")[0] or component.ecosystem.value
    source = component.source
    if component.source_version != component.version:
        source = f"{source}@{component.source_version}"
    epoch, _, version = component.version.rpartition(":") if kind == "rpm" else ("", "", component.version)
    told = {"epoch": epoch, "distro": system.replace(":", "-"), "upstream": "" if source == component.name else source}
    qualifiers = {key: value for key, value in told.items() if value}
    return PackageURL(kind, vendor, component.name, version, qualifiers)


def reference(component: Component, inventory: Inventory) -> str:
    """Names a component inside of a document; two of the same name and version may come from different files."""
    return sha256(f"{purl(component, inventory)} {component.sha256}".encode())[:24]
