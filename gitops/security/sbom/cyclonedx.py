"""An inventory as CycloneDX 1.6 JSON (ECMA-424), by the format's own library.

In: an `Inventory`. Out: the document's bytes. Rules: equal inventories give equal bytes; packages are components of the
type library, files that no package owns of the type file; what could not be looked into is a property `toweros:unread`.

    cyclonedx(inventory)
"""

import json

from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component as Entry
from cyclonedx.model.component import ComponentType
from cyclonedx.model.license import LicenseExpression
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion

from gitops.model import Component, Inventory, LooseFile, canonical
from gitops.security.sbom import licences, words


def cyclonedx(inventory: Inventory) -> bytes:
    """The document."""
    entries = [_package(component, inventory) for component in inventory.components]
    entries += [_file(file) for file in inventory.files]
    subject = Entry(
        name=words.NAME, version=words.digest(inventory), type=ComponentType.OPERATING_SYSTEM, bom_ref="contents"
    )
    told = {"toweros:distribution": [inventory.distribution] if inventory.distribution else []}
    told |= {"toweros:unread": list(inventory.unread)}
    properties = [Property(name=name, value=value) for name, values in told.items() for value in values]
    metadata = BomMetaData(component=subject, timestamp=words.FIXED_TIME, properties=properties)
    bom = Bom(serial_number=words.serial(inventory), metadata=metadata, components=entries)
    bom.register_dependency(subject, entries)
    return canonical(json.loads(make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string()))


def _package(component: Component, inventory: Inventory) -> Entry:
    expression = licences.expression(component.licences)
    source = {"toweros:source": component.source, "toweros:source-version": component.source_version}
    return Entry(
        name=component.name,
        version=component.version,
        type=ComponentType.LIBRARY,
        bom_ref=f"package-{words.reference(component, inventory)}",
        purl=words.purl(component, inventory),
        licenses=[LicenseExpression(expression)] if expression else [],
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=component.sha256)] if component.sha256 else [],
        properties=[Property(name=name, value=value) for name, value in source.items()],
    )


def _file(file: LooseFile) -> Entry:
    return Entry(
        name=file.path,
        type=ComponentType.FILE,
        bom_ref=f"file-{file.sha256[:24]}-{file.path}",
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=file.sha256)],
    )
