"""What is asked for each report, read in one query: a dozen documents take longer than all that is done with them.

with together(store, "site-7"):
    answer(...)
"""

from contextlib import AbstractContextManager, nullcontext

from gitops.model.rollout.turns import BoxTurn
from gitops.store import Store
from gitops.store.notes.box_keys import BootChecked, BoxDisk, Enrolled, HostCertificate, TakenDbx
from gitops.store.notes.documents import ReceiptKey
from gitops.store.notes.newcomers import Lives
from gitops.store.notes.reported import BoxFacts, WholeReport
from gitops.store.notes.restored import VersionFloor
from gitops.store.rows.reading import BOX

OF_BOX = (WholeReport, TakenDbx, Lives, BoxDisk, BoxFacts, BootChecked, BoxTurn, HostCertificate)
OF_ALL = (Enrolled, ReceiptKey, VersionFloor)


def together(store: Store, name: str) -> AbstractContextManager[None]:
    """For a report under this name, if a box can have it."""
    if not BOX.fullmatch(name):
        return nullcontext()
    return store.notes.together(*((kind, name) for kind in OF_BOX), *((kind, "") for kind in OF_ALL))
