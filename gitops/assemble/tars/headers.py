"""Tar headers as most readers understand them, where Python's own reading differs from theirs.

In: blocks of 512 bytes. Out: `tarfile.TarInfo`. Rules: the prefix of a name is one only in POSIX headers (in GNU's,
times are there; but Go wrote prefixes there until 1.8, and its reader still takes them: archive/tar, reader.go); no
size leads backwards; an old header is a folder when its whole name, also from an extension, ends with a slash.
"""

import tarfile

GNU, POSIX = b"ustar  \0", b"ustar\0"
NAME, MAGIC, PREFIX, TIMES = slice(0, 100), slice(257, 265), slice(345, 500), (slice(345, 357), slice(357, 369))
DUMP = b"D"
"""A folder in a GNU tar for increments; its data is a list of names."""
EXTEND = (tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)
"""Headers that say more of the member that follows."""
STAR_PREFIX, STAR = slice(345, 476), (slice(508, 512), b"tar\0")


class Header(tarfile.TarInfo):
    """A member's header."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> "Header":
        header = super().frombuf(buf, encoding, errors)
        if header.type not in tarfile.GNU_TYPES:
            name = _text(bytes(buf[NAME])).decode(encoding, errors)
            prefix = _text(_prefix(bytes(buf))).decode(encoding, errors)
            header.name = f"{prefix}/{name}" if prefix else name
        return header

    def _apply_pax_info(self, pax_headers: dict[str, str], encoding: str, errors: str) -> None:
        if pax_headers.get("size", "").lstrip().startswith("-"):
            raise tarfile.ReadError("a size is negative")
        super()._apply_pax_info(pax_headers, encoding, errors)  # type: ignore[misc]

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        """Raises tarfile.ReadError where readers part: of two extended headers, Go's counts by its kind and the last
        one of it (archive/tar, reader.go), Python's is the first."""
        before: set[bytes] = getattr(archive, "extending", set())
        extends = {tarfile.SOLARIS_XHDTYPE: tarfile.XHDTYPE}.get(self.type, self.type)
        if extends not in EXTEND:
            archive.extending = set()  # type: ignore[attr-defined]
        elif extends in before or (before and tarfile.XHDTYPE in {extends, *before}):
            raise tarfile.ReadError("two extended headers are for one member, which readers take differently")
        else:
            archive.extending = {extends, *before}  # type: ignore[attr-defined]
        return super()._proc_member(archive)  # type: ignore[misc,no-any-return]

    def _block(self, count: int) -> int:
        if count < 0:
            raise tarfile.InvalidHeaderError("a size is negative")  # type: ignore[attr-defined]
        return -(-count // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE

    @property
    def folder(self) -> bool:
        """Whether it is a folder."""
        name = str(self.pax_headers.get("path", self.name))
        return self.type in (tarfile.DIRTYPE, DUMP) or (self.type == tarfile.AREGTYPE and name.endswith("/"))


def _prefix(buf: bytes) -> bytes:
    if buf[MAGIC] == GNU:
        return b"" if all(map(_number, (buf[part] for part in TIMES))) or not buf[PREFIX].isascii() else buf[PREFIX]
    if not buf[MAGIC].startswith(POSIX):
        return b""
    return buf[STAR_PREFIX] if buf[STAR[0]] == STAR[1] else buf[PREFIX]


def _number(field: bytes) -> bool:
    """Whether it is a time as GNU tar writes one: octal or base 256, or none."""
    return not field[0] or field[0] & 0x80 != 0 or not field.strip(b" \0").strip(b"01234567")


def _text(field: bytes) -> bytes:
    return field.partition(b"\0")[0]
