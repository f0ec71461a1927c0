"""What we write is what others can read, and the same bytes for the same contents."""

import json
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from spdx_tools.spdx.parser.jsonlikedict.json_like_dict_parser import JsonLikeDictParser
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

from gitops.model import Component, Ecosystem, Inventory, LooseFile
from gitops.security.sbom.documents import documents
from gitops.security.sbom.licences import spdx as licence

SSL = Component(
    Ecosystem.debian, "libssl3", "3.5-1+b1", "openssl", "3.5-1", ("Apache-2.0", "LicenseRef-own"), "ab" * 32
)
OTHERS = (
    Component(Ecosystem.debian, "hello", "1:2~rc1", "hello", "1:2~rc1"),
    Component(Ecosystem.pypi, "six", "1.0", "six", "1.0", ("MIT OR BSD-3-Clause", "ISC")),
    Component(Ecosystem.alpine, "musl", "1-r0", "musl", "1-r0", ("MIT",), distribution="alpine:3.19"),
    Component(Ecosystem.debian, "old", "1", "old", "1", distribution="ubuntu:24.04"),
)
FILES = (
    LooseFile("etc/passwd", "cd" * 32, 12),
    LooseFile("etc/passwd", "ef" * 32, 12),
    LooseFile("Ä b", "aa" * 32, 1, "bb" * 20),
)
FULL = Inventory.union([Inventory((SSL, *OTHERS), FILES, "debian:13", ("x: unknown inside",))])


def read(inventory: Inventory, kind: str) -> Any:
    return json.loads(documents(inventory)[kind])


@pytest.mark.parametrize("inventory", [FULL, Inventory()], ids=["full", "empty"])
def test_both_are_what_their_formats_ask_for(inventory: Inventory) -> None:
    made = documents(inventory)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(made["cdx"].decode()) is None
    parsed = JsonLikeDictParser().parse(json.loads(made["spdx"]))
    assert [each.validation_message for each in validate_full_spdx_document(parsed, "SPDX-2.3")] == []


def test_equal_contents_give_equal_bytes_in_whatever_order_they_were_found() -> None:
    parts = [Inventory((each,)) for each in reversed(FULL.components)]
    again = Inventory.union([*parts, Inventory((), FILES[::-1], "debian:13", FULL.unread)])
    assert documents(again) == documents(FULL)
    other = documents(Inventory.union([FULL, Inventory((SSL.__class__(Ecosystem.pypi, "a", "1", "a", "1"),))]))
    assert json.loads(other["cdx"])["serialNumber"] != read(FULL, "cdx")["serialNumber"]


def test_addresses_name_distribution_and_source() -> None:
    purls = {each["name"]: each.get("purl") for each in read(FULL, "cdx")["components"]}
    assert purls["libssl3"] == "pkg:deb/debian/libssl3@3.5-1%2Bb1?distro=debian-13&upstream=openssl%403.5-1"
    assert purls["old"] == "pkg:deb/ubuntu/old@1?distro=ubuntu-24.04"
    assert purls["musl"] == "pkg:apk/alpine/musl@1-r0?distro=alpine-3.19" and purls["six"] == "pkg:pypi/six@1.0"
    spdx = {
        each["name"]: each.get("externalRefs", [{}])[0].get("referenceLocator")
        for each in read(FULL, "spdx")["packages"]
    }
    assert {name: spdx[name] for name in ("libssl3", "six")} == {name: purls[name] for name in ("libssl3", "six")}


def test_what_nobody_looked_into_and_what_nobody_stated_is_said() -> None:
    cdx, spdx = read(FULL, "cdx"), read(FULL, "spdx")
    assert {"name": "toweros:unread", "value": "x: unknown inside"} in cdx["metadata"]["properties"]
    assert "Not read: x: unknown inside" in spdx["packages"][0]["comment"]
    assert {each["name"]: each.get("licenseDeclared") for each in spdx["packages"]}["hello"] == "NOASSERTION"
    assert [each["licenseId"] for each in spdx["hasExtractedLicensingInfos"]] == ["LicenseRef-own"]


@pytest.mark.parametrize(
    ("words", "expression"),
    [
        ("GPL-2+", "GPL-2.0-or-later"),
        ("LGPL-2.1", "LGPL-2.1-only"),
        ("gfdl-1.3+", "GFDL-1.3-or-later"),
        ("Expat", "MIT"),
        ("bsd-3-clause", "BSD-3-Clause"),
        ("GPL-2+ or Expat", "GPL-2.0-or-later OR MIT"),
        ("GPL-1+ or Artistic, and BSD-3-clause", "(GPL-1.0-or-later OR Artistic-1.0-Perl) AND BSD-3-Clause"),
        ("GPL-2 with Linux-syscall-note exception", "GPL-2.0-only WITH Linux-syscall-note"),
        ("GPL-3+ with house-rules exception", "LicenseRef-GPL-3-with-house-rules-exception"),
        ("public-domain", "LicenseRef-public-domain"),
        ("((", "LicenseRef-unnamed"),
    ],
)
def test_words_of_debian_become_words_of_spdx(words: str, expression: str) -> None:
    assert licence(words) == expression


def test_files_of_nobody_are_listed_with_what_spdx_asks_for_and_the_others_counted() -> None:
    spdx = read(FULL, "spdx")
    assert [(each["fileName"], len(each["checksums"])) for each in spdx["files"]] == [("./Ä b", 2)]
    assert spdx["packages"][0]["comment"].startswith("3 files belong to no package.")
    assert "files" not in read(Inventory((), FILES[:2]), "spdx")


def test_an_inventory_of_before_is_read_and_a_file_in_both_is_there_once() -> None:
    old = Inventory.parse(b'{"format":1,"components":[],"files":[{"path":"a","sha256":"%s","size":1}]}' % (b"aa" * 32))
    new = Inventory((), (LooseFile("a", "aa" * 32, 1, "bb" * 20),))
    assert Inventory.union([old, new]) == Inventory.union([new, old]) == new and old.files[0].sha1 == ""
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(documents(new)["cdx"].decode()) is None
