"""What the store keeps as files: blobs and layers by digest, and the paths of the state folder."""
