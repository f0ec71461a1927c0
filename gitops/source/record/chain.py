"""Entries in a row: is this the record of one fleet, whole, in order, and signed by its controller? Pure.

In: the bytes of commits, oldest first; the fleet, the keys that may have signed (oldest first), the entry that they
follow. Out: the entries. Rules: the first one has number 1 and no parent; each names the one before it, by both of its
digests; the key of an entry is never older than that of the entry before, so a key that was replaced signs nothing new.
A record goes on for ever, in pages of `PAGE` entries: the first entry of a page has no parent, and names the last one
of the page before by its digest and number, so each page is read by itself and within bounds.

    Reader(fleet, keys).entries([raw, raw])         # SourceError (RecordDamaged) names the first that is wrong
"""

from collections.abc import Iterable
from dataclasses import dataclass

from gitops.source.record.entry import Entry, bad, following, read_entry

PAGE = 50_000
"""Entries of a page: one an hour for five years."""


def page(number: int) -> int:
    """The page, from 1, on which an entry stands."""
    return (number - 1) // PAGE + 1


def parent_after(before: Entry | None) -> str:
    """The parent of the entry that follows; empty: it begins a page."""
    return "" if before is None or before.statement.number % PAGE == 0 else before.id


@dataclass(frozen=True)
class Reader:
    """Reads the record of one fleet. `keys`: 32 bytes each, oldest first."""

    fleet: str
    keys: tuple[bytes, ...]

    def entries(self, raws: Iterable[bytes], after: Entry | None = None) -> list[Entry]:
        """`after`: the entry that the first one follows; None: it begins the record.

        Raises:
            SourceError: it is not the record of this fleet.
        """
        found, before = list[Entry](), after
        for raw in raws:
            entry = read_entry(raw)
            self._check(entry, before)
            found.append(entry)
            before = entry
        return found

    def _check(self, entry: Entry, before: Entry | None) -> None:
        said = entry.statement
        if said.fleet != self.fleet:
            raise bad(f"entry {said.number} is of fleet {said.fleet}, not of {self.fleet}")
        expected = following(before)
        if said.number != expected["number"]:
            raise bad(f"entry {said.number} stands where entry {expected['number']} belongs")
        if said.before != expected["before"] or entry.parent != parent_after(before):
            raise bad(f"entry {said.number} does not follow the one before it")
        oldest = self._age(before) if before else 0
        if self._age(entry) < oldest:
            raise bad(f"entry {said.number} is signed by a key that was replaced")

    def _age(self, entry: Entry) -> int:
        key = entry.key
        if key not in self.keys:
            raise bad(f"entry {entry.statement.number} is signed by another key")
        return self.keys.index(key)
