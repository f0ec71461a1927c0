"""Names that load their module when they are first asked for."""
