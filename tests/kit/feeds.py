"""Feeds of advisories in their real formats, small: Debian's security tracker, and OSV."""

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

Rows = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""Source -> vulnerability -> what the tracker says of it in trixie."""


def resolved(version: str, urgency: str = "not yet assigned") -> dict[str, Any]:
    return {"status": "resolved", "fixed_version": version, "urgency": urgency, "repositories": {"trixie": version}}


def unfixed(urgency: str = "not yet assigned", **more: str) -> dict[str, Any]:
    return {"status": "open", "urgency": urgency, "repositories": {"trixie": "1"}, **more}


def tracker(rows: Rows, release: str = "trixie") -> dict[str, Any]:
    """As the tracker writes it."""
    return {
        source: {
            name: {"scope": "remote", "description": f"{name} in {source}", "releases": {release: row}}
            for name, row in entries.items()
        }
        for source, entries in rows.items()
    }


def osv(name: str, package: str, *events: Mapping[str, str], ecosystem: str = "PyPI", **more: Any) -> dict[str, Any]:
    """One record."""
    affected = {
        "package": {"ecosystem": ecosystem, "name": package},
        "ranges": [{"type": "ECOSYSTEM", "events": list(events)}],
    }
    return {"schema_version": "1.7.0", "id": name, "modified": "2026-11-01T00:00:00Z", "affected": [affected], **more}


def write(path: Path, document: Any) -> Path:
    path.write_text(json.dumps(document))
    return path


def zipped(path: Path, *records: Mapping[str, Any]) -> Path:
    """As OSV's all.zip is."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for record in records:
            archive.writestr(f"{record['id']}.json", json.dumps(record))
    return path
