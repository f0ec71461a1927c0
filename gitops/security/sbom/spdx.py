"""An inventory as SPDX 2.3 JSON (https://spdx.github.io/spdx-spec/v2.3/).

In: an `Inventory`. Out: the document's bytes. Rules: equal inventories give equal bytes, so `created` is a fixed time;
a licence that nobody states is NOASSERTION; files that no package owns are the root package's own, by SHA-1 and SHA-256
(those without a SHA-1, from an older inventory, are only counted: SPDX 2.3 wants one of each).

    spdx(inventory)
"""

import hashlib

from gitops.model import Component, Inventory, Json, LooseFile, canonical, sha256
from gitops.security.sbom import licences, words

UNSAID = "NOASSERTION"
DOCUMENT, ROOT = "SPDXRef-DOCUMENT", "SPDXRef-contents"


def spdx(inventory: Inventory) -> bytes:
    """The document."""
    packages = [_package(component, inventory) for component in inventory.components]
    files = [_file(file) for file in inventory.files if file.sha1]
    contains = [_relation(ROOT, "CONTAINS", str(each["SPDXID"])) for each in (*packages, *files)]
    document: Json = {
        "spdxVersion": "SPDX-2.3",
        "SPDXID": DOCUMENT,
        "dataLicense": "CC0-1.0",
        "name": words.NAME,
        "documentNamespace": f"urn:uuid:{words.serial(inventory)}",
        "creationInfo": {
            "created": words.FIXED_TIME.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "creators": ["Tool: toweros"],
            "comment": "The time is fixed: equal contents give equal documents.",
        },
        "packages": [_root(inventory), *packages],
        "relationships": [_relation(DOCUMENT, "DESCRIBES", ROOT), *contains],
    }
    if files:
        document["files"] = files
    own = sorted({name for package in packages for name in licences.references(str(package["licenseDeclared"]))})
    if own:
        document["hasExtractedLicensingInfos"] = [_own_licence(name) for name in own]
    return canonical(document)


def _root(inventory: Inventory) -> Json:
    told = [f"{len(inventory.files)} files belong to no package.", *(f"Not read: {text}" for text in inventory.unread)]
    weak = sorted(file.sha1 for file in inventory.files if file.sha1)
    root: Json = {
        "SPDXID": ROOT,
        "name": words.NAME,
        "versionInfo": words.digest(inventory),
        "downloadLocation": UNSAID,
        "filesAnalyzed": bool(weak),
        "primaryPackagePurpose": "OPERATING-SYSTEM",
        "comment": "\n".join(told),
    }
    if weak:  # SPDX 2.3, 7.9: how the code of a package is made of its files
        code = hashlib.sha1("".join(weak).encode(), usedforsecurity=False).hexdigest()
        root["packageVerificationCode"] = {"packageVerificationCodeValue": code}
    return root


def _file(file: LooseFile) -> Json:
    name = sha256(f"{file.path} {file.sha256}".encode())[:24]
    return {
        "SPDXID": f"SPDXRef-file-{name}",
        "fileName": f"./{file.path}",
        "checksums": [
            {"algorithm": "SHA1", "checksumValue": file.sha1},
            {"algorithm": "SHA256", "checksumValue": file.sha256},
        ],
        "licenseConcluded": UNSAID,
        "copyrightText": UNSAID,
    }


def _package(component: Component, inventory: Inventory) -> Json:
    address = str(words.purl(component, inventory))
    package: Json = {
        "SPDXID": f"SPDXRef-package-{words.reference(component, inventory)}",
        "name": component.name,
        "versionInfo": component.version,
        "downloadLocation": UNSAID,
        "filesAnalyzed": False,
        "sourceInfo": f"built from {component.source} {component.source_version}",
        "licenseConcluded": UNSAID,
        "licenseDeclared": licences.expression(component.licences) or UNSAID,
        "copyrightText": UNSAID,
        "externalRefs": [
            {"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": address}
        ],
    }
    if component.sha256:
        package["checksums"] = [{"algorithm": "SHA256", "checksumValue": component.sha256}]
    return package


def _own_licence(name: str) -> Json:
    """A licence for which SPDX has no name: all that we know is what the package calls it."""
    words_ = name.removeprefix("LicenseRef-")
    return {"licenseId": name, "name": words_, "extractedText": f"The package calls it {words_}."}


def _relation(of: str, kind: str, to: str) -> Json:
    return {"spdxElementId": of, "relationshipType": kind, "relatedSpdxElement": to}
