"""Who may take what, and when: pure rules, the facts they need, holds, and how the fleet is."""
