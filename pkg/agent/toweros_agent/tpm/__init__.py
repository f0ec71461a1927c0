"""What the TPM does for the box: it seals the copy of its key (ADR 48)."""
