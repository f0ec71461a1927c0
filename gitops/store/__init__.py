"""What the controller remembers: blobs and layers by digest in files, everything else in one database.

In: nouns of `gitops.model`. Out: the same nouns. Rules: a file appears under its digest only when it is whole and on
disk; every write to the database is one transaction; nothing in here can't be made again from Git, except the boxes'
public keys, their reports and what was published. One controller at a time holds the store's lease.

    store = Store.open(Path("/var/lib/toweros"))
    diff_id = store.blobs.put_file(tar).sha256
    store.builds.save_image(image)
    store.offers.published("site-7")
"""

from gitops.model.loading.lazy import lazily

# The database's library is half of the start of every verb.
__getattr__ = lazily(__name__, {"BoxRow": "boxes", "LeaseError": "lease", "Store": "store"})
