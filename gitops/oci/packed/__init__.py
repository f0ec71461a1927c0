"""Layers as they come over the wire: gzip, zstd and xz, unpacked within bounds."""
