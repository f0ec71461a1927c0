"""Does the running release do what it must?

One round asks every check once, and looks at all other services: what came up anew there is counted, reported, and as
bad as a check that says no when it goes on.

    checks     what is asked, and what came up anew
    system     whom it is asked of: containerd, Docker, the loopback network
    probation  the verdict over the rounds of a trial
    condition  the rounds of this boot
    keeper     what cannot answer is started again, then the box
    counters   what services were refused: memory, processes
"""
