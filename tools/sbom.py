"""What a release of TowerOS brings of others: CycloneDX 1.6 of `requirements.lock`, without a clock or a random number.

In: a lock file with hashes, the version; for a container image, also its Debian packages, as `dpkg-query` says them
(name, version, source, architecture, with tabs between). Out: JSON. Each library has its purl and the digests of its
archives, one of which pip installed.

    .venv/bin/python tools/sbom.py requirements.lock 0.2.0 > toweros-0.2.0.cdx.json
"""

import json
import re
import sys
import uuid
from pathlib import Path
from urllib.parse import quote

PIN = re.compile(r"^([a-z0-9.-]+)(?:\[[a-z0-9,.-]+\])?==(\S+)((?:.*\\\n {4}--hash=sha256:[0-9a-f]{64})+)", re.M)


def document(lock: str, version: str, packages: str = "") -> dict[str, object]:
    """The whole document; its serial number is made of its content."""
    libraries = [library(*found) for found in PIN.findall(lock)]
    if not libraries:
        raise SystemExit("error: the lock names no library")
    libraries += [
        debian(*line.split("\t")) for line in sorted(packages.splitlines()) if not line.startswith("toweros\t")
    ]
    own = {"type": "application", "bom-ref": "toweros", "name": "toweros", "version": version}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, f'toweros {version} {lock} {packages}')}",
        "version": 1,
        "metadata": {"component": {**own, "licenses": [{"license": {"id": "Apache-2.0"}}]}},
        "components": libraries,
        "dependencies": [{"ref": "toweros", "dependsOn": [each["bom-ref"] for each in libraries]}],
    }


def library(name: str, version: str, hashes: str) -> dict[str, object]:
    """One pinned library. Which of its archives a machine took depends on the machine: all digests are listed."""
    purl = f"pkg:pypi/{name}@{version}"
    digests = sorted(re.findall(r"sha256:([0-9a-f]{64})", hashes))
    properties = [{"name": "toweros:archive:sha256", "value": digest} for digest in digests]
    parts = {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}
    return {**parts, "properties": properties}


def debian(name: str, version: str, source: str, architecture: str) -> dict[str, object]:
    """A package of Debian's, with the source that advisories name."""
    purl = f"pkg:deb/debian/{quote(name)}@{quote(version)}?arch={architecture}&distro=bookworm"
    properties = [{"name": "toweros:source", "value": source}]
    parts = {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}
    return {**parts, "properties": properties}


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        raise SystemExit("usage: sbom.py LOCK VERSION [PACKAGES]")
    texts = [Path(sys.argv[1]).read_text(), sys.argv[2], *(Path(name).read_text() for name in sys.argv[3:])]
    sys.stdout.write(json.dumps(document(*texts), indent=2) + "\n")
