"""Who may come in: accounts, sessions, tokens of programs. What each of them is worth is told by `model/access/`."""
