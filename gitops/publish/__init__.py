"""Publishing: signed releases become something that boxes can fetch. Blobs first, `timestamp.json` last.

In: publications whose blobs and layers are in the store, a signer. Out: `STATE/repo/metadata` with a repository for
each box, and the one that all share while somebody needs it; beside the layers, their zstd copies and deltas. Rules:

- What is offered is what the published metadata says, plus the new publications, minus the removed boxes: the metadata
  on disk is the only memory, so a run that is killed anywhere is completed by running it again.
- Nothing is named before it is whole on disk. Clients see the old state or the new one.
- A sequence never falls, and one sequence never means two releases.
- A box is not offered a format that its agent, as last reported, cannot read, nor what its disk cannot take.

    publisher = Publisher(store, Signer.open(settings.keys, store))
    publisher.publish([publication])          # and publisher.refresh() in every pass: re-signs what is due
"""

from gitops.publish.publisher import MetadataSigner, Publisher

__all__ = ["MetadataSigner", "Publisher"]
