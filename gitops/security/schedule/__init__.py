"""When updates are looked for, which of them may go, and in whose words. Pure."""
