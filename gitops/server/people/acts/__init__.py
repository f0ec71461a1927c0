"""What people do from the pages and by the API: the same as the command line's verbs, by the same functions.

kinds       the acts, in words (pure)
doing       what is seen before, and the act itself
pages       a form each, and what it does
api         the same for programs, by a token
several     the same for programs, on the boxes of a role, a site, a label
listed      /audit
"""
