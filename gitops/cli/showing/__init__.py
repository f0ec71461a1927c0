"""How verbs show what they found: tables, frames that are drawn again, prompts."""
