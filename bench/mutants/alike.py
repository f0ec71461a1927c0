"""Mutants of bench/mutants/mutate.py that do the same as what they replace, or differ where nobody sees it: why."""

ALIKE = {
    "toweros_agent/rules.py:keep: sequence > running -> sequence >= running": "the running one stays anyway",
    "toweros_agent/rules.py:keep: sequence < running -> sequence <= running": "the running one is not among them",
    "toweros_agent/rules.py:rollback: 0 -> 1": "the newest of no entries: nothing is compared with it",
}
