"""The verbs of a site: a NOC, and what is carried to one."""
