"""Who changed what: lines that are added and never changed, beside the database (ADR 102)."""
