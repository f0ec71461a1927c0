"""Odd tars, and the tree that each one is: read by us, and as the layer that is made of it says.

Every case is bytes that a program writes, or that one reader takes and another does not. `READ` have one right tree;
`REFUSED` have none, and a reason. Hard links are written `= FIRST PATH`.
"""

import os
import stat
import subprocess
from pathlib import Path

import pytest

from gitops.assemble.layers import IMAGE, check_tar, make_layer
from gitops.assemble.tars.canonical import write
from gitops.assemble.tars.erofs import Image
from gitops.assemble.tars.names import order
from gitops.assemble.tars.reader import reading
from gitops.errors import AssembleError
from tests.kit import built
from tests.kit.mounted import differences, has_erofs, seen
from tests.kit.tars import (
    CHAR,
    DIR,
    DISK,
    END,
    FIFO,
    GLOBAL,
    GNU,
    HARD,
    LINK,
    LONGEST,
    OLD,
    V7,
    header,
    line,
    long_name,
    member,
    padded,
    pax,
)

X = member("x", b"x")
IS_X = "f 644 'x'"
LONG = "d/" + "n" * 150
ACCESS_LIST = b"\2\0\0\0" + b"".join(bytes([tag, 0, 6, 0]) + b"\xff" * 4 for tag in (1, 4, 32))
DEEP = "/".join(["deep" * 10] * 8)
OLD_SPARSE = {386: b"%011o\0%011o\0" % (0, 1) + b"%011o\0%011o\0" % (1024, 1), 483: b"%011o\0" % 1025}
HOLED = f"f 644 {1025} bytes"


def sparse_map(text: bytes) -> bytes:
    return padded(text)


READ: dict[str, tuple[bytes, dict[str, str]]] = {
    "nothing but the end": (END, {}),
    "one file and no end, as pipes are cut by some writers": (X, {"x": IS_X}),
    "one block of zeros at the end": (X + bytes(512), {"x": IS_X}),
    "filled to twenty blocks": (X + bytes(20 * 512 - len(X)), {"x": IS_X}),
    "junk after two blocks of zeros": (X + END + b"junk" * 128, {"x": IS_X}),
    # kaniko
    "kaniko: the root is called /": (member("/", kind=DIR, mode=0o700) + X, {"": "d 700", "x": IS_X}),
    "kaniko: names begin with a slash": (member("/etc/x", b"x"), {"etc": "d 755", "etc/x": IS_X}),
    "kaniko: a hard link's target begins with a slash": (
        member("usr/a", b"1") + member("usr/b", kind=HARD, link="/usr/a"),
        {"usr": "d 755", "usr/a": "f 644 '1'", "usr/b": "= usr/a"},
    ),
    "kaniko: a whiteout begins with a slash": (member("/etc/.wh.a"), {"etc": "d 755", "etc/a": "hidden 0"}),
    "the root is called .": (member(".", kind=DIR, mode=0o711), {"": "d 711"}),
    "the root is called ./": (member("./", kind=DIR, mode=0o711, uid=5), {"": "d 711 5:0"}),
    "the root is called //": (member("//", kind=DIR, mode=0o711), {"": "d 711"}),
    "the root comes last": (X + member("./", kind=DIR, mode=0o710), {"": "d 710", "x": IS_X}),
    # Docker, buildah, containerd
    "docker: folders end with a slash": (
        member("etc/", kind=DIR) + member("etc/x", b"x"),
        {"etc": "d 755", "etc/x": IS_X},
    ),
    "docker: types in the mode": (member("x", b"x", mode=0o100644), {"x": IS_X}),
    "docker: a global header with a comment": (pax({"comment": "from git"}, GLOBAL) + X, {"x": IS_X}),
    "docker: a whiteout": (member("a/.wh.b"), {"a": "d 755", "a/b": "hidden 0"}),
    "docker: an opaque folder": (
        member("a/", kind=DIR) + member("a/.wh..wh..opq") + member("a/x", b"x"),
        {"a": "d 755 opaque", "a/x": IS_X},
    ),
    "docker: the opaque mark after what is in the folder": (
        member("a/x", b"x") + member("a/.wh..wh..opq"),
        {"a": "d 755 opaque", "a/x": IS_X},
    ),
    "AUFS's own files": (member(".wh..wh.aufs") + member(".wh..wh.plnk/", kind=DIR) + X, {"x": IS_X}),
    "a whiteout beside the file that replaces it": (member(".wh.x") + X, {"x": IS_X}),
    "a whiteout after the file that replaces it": (X + member(".wh.x"), {"x": IS_X}),
    "a folder in place of what is hidden": (
        member(".wh.d") + member("d/", kind=DIR) + member("d/x", b"x"),
        {"d": "d 755 opaque", "d/x": IS_X},
    ),
    "a whiteout that is a hard link": (
        member("a/", kind=DIR) + member("a/.wh.b", kind=HARD, link="none"),
        {"a": "d 755", "a/b": "hidden 0"},
    ),
    "file capabilities": (
        pax({"SCHILY.xattr.security.capability": b"\1\0\0\2\0\4\0\0" + bytes(12)}) + X,
        {"x": IS_X + " security.capability"},
    ),
    "attributes of a folder, of a user": (
        pax({"SCHILY.xattr.user.a": "1"}) + member("d/", kind=DIR),
        {"d": "d 755 user.a"},
    ),
    "attributes that would steer the box's overlay": (
        pax({"SCHILY.xattr.trusted.overlay.redirect": "/etc"}) + member("d/", kind=DIR),
        {"d": "d 755"},
    ),
    "file capabilities of another root": (
        pax({"SCHILY.xattr.security.capability": b"\1\0\0\3\0\4\0\0" + bytes(12) + b"\1\0\0\0"}) + X,
        {"x": IS_X + " security.capability"},
    ),
    "an access list": (
        pax({"SCHILY.xattr.system.posix_acl_access": ACCESS_LIST}) + X,
        {"x": IS_X + " system.posix_acl_access"},
    ),
    "macOS: attributes that no file system of Linux takes": (
        pax({"SCHILY.xattr.com.apple.provenance": b"\1\2\0", "LIBARCHIVE.xattr.com.apple.provenance": "AQIA"}) + X,
        {"x": IS_X},
    ),
    "NFS's own access list": (pax({"SCHILY.xattr.system.nfs4_acl": b"\0\0\0\1"}) + X, {"x": IS_X}),
    "a user's attribute of a link, which nobody could read": (
        pax({"SCHILY.xattr.user.a": "1"}) + member("l", kind=LINK, link="x"),
        {"l": "l 777 'x'"},
    ),
    "what new files get, of a file": (pax({"SCHILY.xattr.system.posix_acl_default": ACCESS_LIST}) + X, {"x": IS_X}),
    "attributes of 31,000 bytes": (
        pax({f"SCHILY.xattr.user.a{number}": b"\0" * 986 for number in range(31)}) + X,
        {"x": IS_X + "".join(f" user.a{number}" for number in range(31))},
    ),
    "devices below /dev": (member("dev/null", kind=CHAR) + member("dev/sda", kind=DISK) + X, {"x": IS_X}),
    "devices elsewhere, with links to them": (
        member("srv/mem", kind=CHAR) + member("srv/sda", kind=DISK) + member("m", kind=HARD, link="srv/mem") + X,
        {"srv": "d 755", "x": IS_X},
    ),
    "a device in place of a file and of a folder": (
        X + member("x", kind=CHAR) + member("d/y", b"") + member("d", kind=DISK) + member("z", b""),
        {"z": "f 644 ''"},
    ),
    "a file in place of a device": (member("x", kind=CHAR) + X, {"x": IS_X}),
    "a FIFO": (member("run/f", kind=FIFO, mode=0o600), {"run": "d 755", "run/f": "p 600"}),
    "setuid, setgid, sticky": (
        member("a", b"", mode=0o4755) + member("b", b"", mode=0o2755) + member("t/", kind=DIR, mode=0o1777),
        {"a": "f 4755 ''", "b": "f 2755 ''", "t": "d 1777"},
    ),
    "a second member of a name": (member("x", b"first", mode=0o600) + X, {"x": IS_X}),
    "a folder twice": (
        member("d/", kind=DIR, mode=0o700) + member("d/x", b"x") + member("d/", kind=DIR, mode=0o711),
        {"d": "d 711", "d/x": IS_X},
    ),
    "a file in place of a folder": (member("d/x", b"x") + member("d", b"1"), {"d": "f 644 '1'"}),
    "a folder in place of a file": (
        member("d", b"1") + member("d/", kind=DIR) + member("d/x", b"x"),
        {"d": "d 755", "d/x": IS_X},
    ),
    "a link in place of a folder": (member("d/x", b"x") + member("d", kind=LINK, link="e"), {"d": "l 777 'e'"}),
    "a folder in place of a link": (member("d", kind=LINK, link="e") + member("d/", kind=DIR), {"d": "d 755"}),
    # links
    "a link on the way": (
        member("lib", kind=LINK, link="usr/lib") + member("lib/x", b"x"),
        {"lib": "l 777 'usr/lib'", "usr": "d 755", "usr/lib": "d 755", "usr/lib/x": IS_X},
    ),
    "a link on the way that begins with a slash": (
        member("lib", kind=LINK, link="/usr/lib") + member("lib/x", b"x"),
        {"lib": "l 777 '/usr/lib'", "usr": "d 755", "usr/lib": "d 755", "usr/lib/x": IS_X},
    ),
    "a link on the way that leaves the root": (
        member("out", kind=LINK, link="../../etc") + member("out/x", b"x"),
        {"out": "l 777 '../../etc'", "etc": "d 755", "etc/x": IS_X},
    ),
    "a link in a folder that begins with a slash": (
        member("d/lib", kind=LINK, link="/usr/lib") + member("d/lib/x", b"x"),
        {"d": "d 755", "d/lib": "l 777 '/usr/lib'", "usr": "d 755", "usr/lib": "d 755", "usr/lib/x": IS_X},
    ),
    "a link in a folder that goes one up": (
        member("d/lib", kind=LINK, link="../lib") + member("d/lib/x", b"x"),
        {"d": "d 755", "d/lib": "l 777 '../lib'", "lib": "d 755", "lib/x": IS_X},
    ),
    "links to links": (
        member("a", kind=LINK, link="b") + member("b", kind=LINK, link="c") + member("a/x", b"x"),
        {"a": "l 777 'b'", "b": "l 777 'c'", "c": "d 755", "c/x": IS_X},
    ),
    "a whiteout behind a link": (
        member("lib", kind=LINK, link="usr/lib") + member("lib/.wh.x"),
        {"lib": "l 777 'usr/lib'", "usr": "d 755", "usr/lib": "d 755", "usr/lib/x": "hidden 0"},
    ),
    "a link that leads out and is not followed": (
        member("a", kind=LINK, link="../../../x"),
        {"a": "l 777 '../../../x'"},
    ),
    "a hard link to a link": (
        member("a", kind=LINK, link="none") + member("b", kind=HARD, link="a"),
        {"a": "l 777 'none'", "b": "= a"},
    ),
    "a hard link behind a link": (
        member("lib", kind=LINK, link="l") + member("l/a", b"1") + member("b", kind=HARD, link="lib/a"),
        {"b": "f 644 '1'", "l": "d 755", "l/a": "= b", "lib": "l 777 'l'"},
    ),
    "a hard link to what is replaced afterwards": (
        member("a", b"1") + member("b", kind=HARD, link="a") + member("a", b"2"),
        {"a": "f 644 '2'", "b": "f 644 '1'"},
    ),
    "a hard link in place of a file": (
        member("a", b"1") + X + member("x", kind=HARD, link="./a"),
        {"a": "f 644 '1'", "x": "= a"},
    ),
    "a hard link to itself": (X + member("x", kind=HARD, link="x"), {"x": IS_X}),
    "a hard link that says the file's size": (
        member("a", b"1") + member("b", kind=HARD, link="a", size=700) + X,
        {"a": "f 644 '1'", "b": "= a", "x": IS_X},
    ),
    "a hard link to an empty file, and three of them": (
        member("a") + member("b", kind=HARD, link="a") + member("c", kind=HARD, link="b"),
        {"a": "f 644 ''", "b": "= a", "c": "= a"},
    ),
    "a hard link by a long name": (
        member(LONG[:99], b"1") + long_name("/" + LONG[:99], b"K") + member("b", kind=HARD, link=LONG, magic=GNU),
        {"b": "f 644 '1'", "d": "d 755", LONG[:99]: "= b"},
    ),
    # names
    "dots and slashes in names": (member("./a//./b/x", b"x"), {"a": "d 755", "a/b": "d 755", "a/b/x": IS_X}),
    "a way back in a name": (member("a/../x", b"x"), {"x": IS_X}),
    "a folder as old tars have it": (member("d/", kind=OLD, magic=V7, mode=0o755), {"d": "d 755"}),
    "a file as old tars have it": (member("x", b"x", kind=OLD, magic=V7), {"x": IS_X}),
    "contiguous files": (member("x", b"x", kind=b"7"), {"x": IS_X}),
    "a name of exactly 100 bytes": (member("n" * 100, b"x"), {"n" * 100: IS_X}),
    "a name in two fields": (member("x", b"x", prefix="a/b"), {"a": "d 755", "a/b": "d 755", "a/b/x": IS_X}),
    "GNU: a long name": (long_name(LONG) + member(LONG, b"x", magic=GNU), {"d": "d 755", LONG: IS_X}),
    "GNU: a long link": (
        long_name(LONG, b"K") + member("l", kind=LINK, link=LONG, magic=GNU),
        {"l": f"l 777 {len(LONG)} bytes"},
    ),
    "GNU: a long folder": (long_name(LONG + "/") + member(LONG, kind=DIR, magic=GNU), {"d": "d 755", LONG: "d 755"}),
    "GNU: times where POSIX has a name": (
        member("x", b"x", magic=GNU, raw={345: b"14524770145\0", 357: b"14524770145\0"}),
        {"x": IS_X},
    ),
    "GNU: a label of the volume": (member("backup", kind=b"V", magic=GNU) + X, {"x": IS_X}),
    "Go before 1.8: a prefix in a GNU header": (
        member("x", b"x", magic=GNU, prefix="some/folder", uid=1 << 22),
        {"some": "d 755", "some/folder": "d 755", "some/folder/x": f"f 644 {1 << 22}:0 'x'"},
    ),
    "Go: an old header whose long name ends with a slash": (
        pax({"path": LONG + "/"}) + member(LONG, kind=OLD, mode=0o755),
        {"d": "d 755", LONG: "d 755"},
    ),
    "Go: a user beyond two million in base 256": (
        member("x", b"x", uid=4_000_000_000),
        {"x": "f 644 4000000000:0 'x'"},
    ),
    "star: a prefix of 131 bytes, then times": (
        member("x", b"x", prefix="a" * 131, raw={476: b"14524770145\0", 488: b"14524770145\0", 508: b"tar\0"}),
        {"a" * 131: "d 755", "a" * 131 + "/x": IS_X},
    ),
    "an old header with junk where POSIX has a name": (member("x", b"x", magic=V7, prefix="junk"), {"x": IS_X}),
    "pax: a long name": (
        pax({"path": DEEP + "/x"}) + member("cut", b"x"),
        {**{"/".join(["deep" * 10] * n): "d 755" for n in range(1, 9)}, DEEP + "/x": IS_X},
    ),
    "pax: a link": (pax({"linkpath": LONG}) + member("l", kind=LINK, link="cut"), {"l": f"l 777 {len(LONG)} bytes"}),
    "pax: a hard link's target": (
        member("a", b"1") + pax({"linkpath": "/a"}) + member("b", kind=HARD, link="cut"),
        {"a": "f 644 '1'", "b": "= a"},
    ),
    "pax: the size": (pax({"size": "1"}) + member("x", b"x", size=0), {"x": IS_X}),
    "pax: owners": (pax({"uid": "70000", "gid": "70001"}) + X, {"x": "f 644 70000:70001 'x'"}),
    "pax: words that nobody knows": (pax({"LIBARCHIVE.creationtime": "1.5", "VENDOR.thing": "1"}) + X, {"x": IS_X}),
    "bsdtar: names in no encoding": (pax({"hdrcharset": "BINARY", "path": b"\xff\xfe"}) + X, {"\udcff\udcfe": IS_X}),
    "names that are no UTF-8": (member(b"caf\xe9", b"x"), {"caf\udce9": IS_X}),
    "a name with a line break": (member("a\nb", b"x"), {"a\nb": IS_X}),
    "a name in UTF-8": (member("größe/日本", b"x"), {"größe": "d 755", "größe/日本": IS_X}),
    "a name of 255 bytes, and a whiteout of one": (
        pax({"path": "n" * 255}) + member("cut", b"x") + pax({"path": ".wh." + "o" * 255}) + member("cut"),
        {"n" * 255: IS_X, "o" * 255: "hidden 0"},
    ),
    "a path of 4,095 bytes": (
        pax({"path": LONGEST}) + member("cut", b"x"),
        {"/".join(["e" * 255] * n): "d 755" for n in range(1, 16)} | {LONGEST.decode(): IS_X},
    ),
    # sparse files
    "GNU: a sparse file": (
        member("s", padded(b"a") + b"b", b"S", size=513, magic=GNU, raw=OLD_SPARSE) + X,
        {"s": HOLED, "x": IS_X},
    ),
    "pax 0.0: a sparse file": (
        pax(
            {
                "GNU.sparse.size": "1025",
                "GNU.sparse.numblocks": "1",
                "GNU.sparse.offset": "1024",
                "GNU.sparse.numbytes": "1",
            }
        )
        + member("s", b"b")
        + X,
        {"s": HOLED, "x": IS_X},
    ),
    "pax 0.1: a sparse file": (
        pax({"GNU.sparse.size": "1025", "GNU.sparse.name": "s", "GNU.sparse.map": "1024,1"})
        + member("GNUSparseFile.1/s", b"b")
        + X,
        {"s": HOLED, "x": IS_X},
    ),
    "pax 1.0: a sparse file": (
        pax({"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "s", "GNU.sparse.realsize": "1025"})
        + member("GNUSparseFile.1/s", sparse_map(b"1\n1024\n1\n") + b"b")
        + X,
        {"s": HOLED, "x": IS_X},
    ),
}

HUGE_SPARSE = {386: b"%011o\0%011o\0" % (0, 1), 483: b"\x80" + (1 << 50).to_bytes(11, "big")}
TWICE_SPARSE = {386: b"%011o\0%011o\0" % (512, 512) + b"%011o\0%011o\0" % (0, 512), 483: b"%011o\0" % 1024}
REFUSED: dict[str, tuple[bytes, str]] = {
    "a name that leaves the root": (member("../x", b"x"), "leaves the layer"),
    "a name that leaves it later": (member("a/../../x", b"x"), "leaves the layer"),
    "a hard link that leaves the root": (X + member("a", kind=HARD, link="../x"), "leaves the layer"),
    "a hard link to nothing": (member("a", kind=HARD, link="x"), "hard link to nothing"),
    "a hard link before its target": (member("a", kind=HARD, link="x") + X, "hard link to nothing"),
    "a hard link to a folder": (member("d/", kind=DIR) + member("a", kind=HARD, link="d"), "hard link to nothing"),
    "a file that is the root": (member("/", b"x"), "the root is not a folder"),
    "a file in a file": (X + member("x/y", b"y"), "not a folder"),
    "links that lead in a circle": (
        member("a", kind=LINK, link="b") + member("b", kind=LINK, link="a") + member("a/x", b"x"),
        "lead nowhere",
    ),
    "a link to nothing at all": (member("a", kind=LINK), "no possible path"),
    "a link of 5,000 bytes": (pax({"linkpath": "a/" * 2500}) + member("a", kind=LINK), "no possible path"),
    "a name of 300 bytes": (pax({"path": "n" * 300}) + X, "longer than Linux takes"),
    "a path of 5,000 bytes": (pax({"path": "n/" * 2500}) + X, "longer than Linux takes"),
    "a NUL in a name": (pax({"path": "x\0y"}) + X, "NUL"),
    "the root is a device": (member("/", kind=CHAR), "the root is not a folder"),
    "a kind of file that nobody knows": (member("x", b"x", kind=b"Q"), "not known"),
    "a part of a file of several volumes": (member("x", b"x", kind=b"M", magic=GNU), "not known"),
    "a whiteout of nothing": (member("a/.wh."), "names nothing"),
    "a whiteout of its folder": (member("a/.wh.."), "names nothing"),
    "a file in a whiteout": (member(".wh.a/x", b"x"), "in a whiteout"),
    "nobody's number as a user": (pax({"uid": "4294967295"}) + X, "which no system has"),
    "a user below nought": (pax({"uid": "-1"}) + X, "which no system has"),
    "a size below nought": (member("x", b"x", size=-512) + X, "damaged|whole"),
    "a size below nought in pax": (pax({"size": "-1024"}) + X, "damaged|whole"),
    "a size beyond the end": (member("x", b"x", size=4096), "damaged|whole"),
    "two pax headers for one member": (pax({"path": "y"}) + pax({"uid": "7"}) + X, "two extended headers"),
    "a pax header before GNU's long name": (pax({"path": "y"}) + long_name("z" * 200) + X, "two extended headers"),
    "GNU's long name before a pax header": (long_name("z" * 200) + pax({"path": "y"}) + X, "two extended headers"),
    "two long names for one member": (long_name("y" * 200) + long_name("z" * 200) + X, "two extended headers"),
    "a global name": (pax({"path": "y"}, GLOBAL) + X, "global header"),
    "a block of zeros, and then more": (X + bytes(512) + member("y", b"y"), "damaged"),
    "a bad checksum": (X + header("y")[:-1] + b"!", "damaged|whole"),
    "an extension at the end": (X + pax({"path": "y"}) + END, "whole"),
    "an extension of an extension, without end": (pax({"comment": "y"}) * 2000 + X, "whole"),
    "a sparse file of a petabyte": (member("s", b"a", b"S", magic=GNU, raw=HUGE_SPARSE), "holes"),
    "a sparse file whose parts cover each other": (
        member("s", bytes(1024), b"S", magic=GNU, raw=TWICE_SPARSE),
        "cover each other",
    ),
    "a sparse file shorter than its parts": (
        pax({"GNU.sparse.size": "2", "GNU.sparse.map": "1024,1"}) + member("s", b"b"),
        "ends before",
    ),
    "a sparse file with more parts than the tar holds of it": (
        pax({"GNU.sparse.size": "9999", "GNU.sparse.map": "0,9999"}) + member("s", b"b"),
        "its size in two ways",
    ),
    "a sparse file whose parts go on in the next header": (
        pax({"GNU.sparse.size": "1024", "GNU.sparse.map": "0,1024"}) + member("s", b"b") + X,
        "its size in two ways",
    ),
    "a sparse file whose size is said twice": (
        pax({"size": "512", "GNU.sparse.size": "1024", "GNU.sparse.map": "0,512"}) + member("s", bytes(512)) + X,
        "damaged|its size in two ways",
    ),
    "a global attribute": (pax({"SCHILY.xattr.user.a": "1"}, GLOBAL) + X, "global header"),
    "a global sparse map": (pax({"GNU.sparse.size": "9", "GNU.sparse.map": "0,1"}, GLOBAL) + X, "global header"),
    "an attribute without a name": (pax({"SCHILY.xattr.user.": "1"}) + X, "x has the attribute 'user.' whose name"),
    "an attribute's name of 256 bytes": (pax({"SCHILY.xattr.user." + "n" * 251: "1"}) + X, "whose name no file"),
    "an attribute's name that is no UTF-8": (
        pax({"SCHILY.xattr.user.?": "1"}).replace(b"user.?", b"user.\xff") + X,
        "whose name is no UTF-8",
    ),
    "a NUL in an attribute's name": (pax({"SCHILY.xattr.user.\0": "1"}) + X, "whose name no file"),
    "attributes of 32,001 bytes": (pax({"SCHILY.xattr.user.a": "1" * 31987}) + X, "of 32001 bytes, and .* have 32000"),
    "capabilities of no form": (pax({"SCHILY.xattr.security.capability": "all"}) + X, "no capability of a file"),
    "capabilities of 2.6.24": (
        pax({"SCHILY.xattr.security.capability": b"\1\0\0\1" + bytes(8)}) + X,
        "no capability of a file",
    ),
    "an access list of no form": (pax({"SCHILY.xattr.system.posix_acl_access": "rwx"}) + X, "no access list"),
    "a sparse map of words": (pax({"GNU.sparse.size": "2", "GNU.sparse.map": "one,two"}) + member("s", b"b"), "whole"),
    "text": (b"this is no tar\n" * 100, "whole"),
    "zeros, too few": (bytes(100), "whole|damaged"),
    "nothing": (b"", "whole"),
}


ORIGIN = "trusted.overlay.origin"
"""What mkfs.erofs gives to a folder with whiteouts in it."""


def told(file: Path) -> dict[str, str]:
    """The tree that we read, a line a path."""
    with reading(file) as contents:
        first: dict[object, str] = {}
        lines = {}
        for path, entry in sorted((contents.entries | contents.hidden).items(), key=lambda item: order(item[0])):
            inode = first.setdefault(entry, path)
            data = contents.open(entry).read() if entry.size else os.fsencode(entry.link)
            text = line(entry.kind, entry.mode, (entry.uid, entry.gid), data, "" if inode == path else inode)
            marks = [*(["opaque"] if path in contents.opaque else []), *entry.xattrs]
            lines[path] = " ".join([text, *(marks if inode == path else [])])
        return lines


def told_of_image(file: Path) -> dict[str, str]:
    """The tree that an image holds."""
    with Image(file) as image:
        first: dict[int, str] = {}
        lines = {}
        for path, node in sorted(image.nodes().items(), key=lambda item: order(item[0])):
            inode = first.setdefault(node.number, path)
            data = b"" if node.kind == stat.S_IFDIR else b"".join(image.pieces(node))
            text = line(node.kind, node.mode, (node.uid, node.gid), data, "" if inode == path else inode)
            marks = [name.replace("trusted.overlay.opaque", "opaque") for name in node.xattrs if name != ORIGIN]
            lines[path] = " ".join([text, *(marks if inode == path else [])])
        return lines


@pytest.fixture
def tar(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    file = tmp_path / "layer.tar"
    file.write_bytes(request.param)
    return file


def trees(cases: dict[str, tuple[bytes, dict[str, str]]]) -> list[object]:
    """A root that is not said is 0755; a tar without an end gets one where it has a case of its own."""
    return [pytest.param(data, {"": "d 755"} | tree, id=name) for name, (data, tree) in cases.items()]


@pytest.mark.parametrize(("tar", "tree"), trees(READ), indirect=["tar"])
def test_an_odd_tar_is_this_tree(tar: Path, tree: dict[str, str]) -> None:
    assert told(tar) == tree


@pytest.mark.parametrize(("tar", "tree"), trees(READ), indirect=["tar"])
def test_and_the_canonical_tar_of_it_is_the_same_tree(tar: Path, tree: dict[str, str], tmp_path: Path) -> None:
    with reading(tar) as contents, (tmp_path / "canonical.tar").open("wb") as output:
        write(contents, output)
    assert told(tmp_path / "canonical.tar") == tree


@pytest.mark.e2e
@pytest.mark.parametrize(("tar", "tree"), trees(READ), indirect=["tar"])
def test_and_so_is_the_layer_that_is_made_of_it(tar: Path, tree: dict[str, str]) -> None:
    with built.toolbox().workspace() as work:
        make_layer(work, tar)
        assert told_of_image(work.path(IMAGE)) == tree
        if has_erofs():
            with reading(tar) as contents:
                assert differences(contents, seen(work.path(IMAGE))) == []


@pytest.mark.parametrize(
    ("tar", "reason"), [pytest.param(*case, id=name) for name, case in REFUSED.items()], indirect=["tar"]
)
def test_a_tar_without_a_right_tree_is_refused(tar: Path, reason: str) -> None:
    with pytest.raises(AssembleError, match=reason):
        check_tar(tar)


def test_the_corpus_is_as_large_as_it_says() -> None:
    assert len(READ) + len(REFUSED) >= 149


GNU_TAR = {
    "v7": ["--format=v7"],
    "old GNU": ["--format=oldgnu"],
    "GNU": ["--format=gnu"],
    "GNU, sparse": ["--format=gnu", "-S"],
    "GNU, for increments": ["--format=gnu", "-g", "SNAPSHOT"],
    "ustar": ["--format=ustar"],
    "pax": ["--format=posix"],
    "pax, sparse 0.0": ["--format=posix", "-S", "--sparse-version=0.0"],
    "pax, sparse 0.1": ["--format=posix", "-S", "--sparse-version=0.1"],
    "pax, sparse 1.0": ["--format=posix", "-S", "--sparse-version=1.0"],
    "whole names": ["--format=posix", "-P"],
    "links as files": ["--format=posix", "--hard-dereference"],
    "a label": ["--format=gnu", "-V", "label"],
}


@pytest.mark.parametrize("options", GNU_TAR.values(), ids=list(GNU_TAR))
def test_gnu_tar_itself(options: list[str], tmp_path: Path) -> None:
    """What the machine's own tar writes of one folder, in all its formats."""
    folder = tmp_path / "in"
    (folder / "d").mkdir(parents=True)
    (folder / "d/a").write_bytes(b"1")
    os.link(folder / "d/a", folder / "d/b")
    (folder / "l").symlink_to("/d/a")
    with (folder / "s").open("wb") as file:
        file.seek(1 << 20)
        file.write(b"end")
    (folder / "s").chmod(0o600)
    command = ["tar", "-C", folder, "-cf", tmp_path / "out.tar", "--owner=0", "--group=0", "--sort=name", "--mode=go-w"]
    subprocess.run([*command, *options, "."], check=True, cwd=tmp_path)
    same = "f 644 '1'" if "--hard-dereference" in options else "= d/a"
    tree = {"": "d 755", "d": "d 755", "d/a": "f 644 '1'", "d/b": same, "l": "l 755 '/d/a'", "s": "f 600 1048579 bytes"}
    found = told(tmp_path / "out.tar")
    assert found == tree | {"l": found["l"]}
    assert found["l"].endswith("'/d/a'")
