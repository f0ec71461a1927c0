"""The record of deployments in the store: its entries are rows of the database, so that they are in every backup, and a
controller that was overtaken writes none.

In: a store. Out: the entries, in order. Rules: entries and the tip that counts them are written together, or not at
all; what is after the tip does not count. Only the lease's holder writes, so what it has read stays true.

    memory = RecordMemory(store.notes)
    memory.entries()                    # tuple[Entry, ...]
    memory.keep(5, [entry])             # the sixth, and the last one
"""

from collections.abc import Sequence
from dataclasses import replace

from gitops.errors import StoreError
from gitops.source.record.entry import Entry, read_entry
from gitops.store.notes.notes import Notes
from gitops.store.notes.record import RecordEntry, RecordTip


class RecordMemory:
    """The record of one store's fleet."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes
        self._tip: RecordTip | None = None
        self._entries: tuple[Entry, ...] | None = None

    @property
    def tip(self) -> RecordTip:
        self._tip = self._tip or self._notes.get(RecordTip) or RecordTip()
        return self._tip

    def entries(self) -> tuple[Entry, ...]:
        """All of them, oldest first.

        Raises:
            SourceError: one is damaged. StoreError: one is missing.
        """
        if self._entries is None:
            rows, count = self._notes.each(RecordEntry) if self.tip.entries else {}, self.tip.entries
            texts = [rows[_key(number)].commit for number in range(1, count + 1) if _key(number) in rows]
            if len(texts) != count:
                raise StoreError("entries of the record of deployments are missing", hint="restore the database")
            self._entries = tuple(read_entry(text.encode()) for text in texts)
        return self._entries

    def keep(self, before: int, entries: Sequence[Entry]) -> None:
        """Have these entries after the first `before` ones, and no others.

        Raises:
            LeaseError: another controller has taken over.
        """
        tip, kept = replace(self.tip, entries=before + len(entries)), self.entries()[:before]
        rows = [(RecordEntry(entry.raw.decode()), _key(number)) for number, entry in enumerate(entries, before + 1)]
        self._notes.put_together(*rows, (tip, ""))
        self._tip, self._entries = tip, (*kept, *entries)

    def note(self, *, sent: str, told: str) -> None:
        """Remember what the remote has had, and what was told of it. Raises as `keep`."""
        tip = replace(self.tip, sent=sent, told=told)
        if tip != self.tip:
            self._notes.put(tip)
            self._tip = tip


def _key(number: int) -> str:
    return f"{number:08d}"
