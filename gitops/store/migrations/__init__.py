"""The way forward from one version of the tables to the next, by Alembic; `gitops.store.schema` walks it.

A change of `gitops.store.tables` comes with a new module in `versions/` and its number in `schema.VERSIONS`. Rules: a
migration names the tables as they were then, not those of `tables`; it runs in one transaction on both databases.
"""
