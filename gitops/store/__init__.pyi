from gitops.store.boxes import BoxRow as BoxRow
from gitops.store.lease import LeaseError as LeaseError
from gitops.store.store import Store as Store
