"""A site's own server: a copy of what its boxes need, proven before it is kept, and the way of their reports.

origin          where it comes from: an update server, or a folder (a bundle, a state folder)
trust           what is signed, by python-tuf's client workflow
content         boot files and layers, brought in pieces, proven, then named
copy            the folder: what is kept, what it may hold, what goes
mirror          one pass: look, bring, show, sweep
boxes           whose content that is
saying/reports  what boxes say, kept while nobody is there
saying/relaying POST /api/v1/boxes/BOX/report: passed on
saying/contact  the origin hears that the NOC lives
starting        machines that the network starts
showing/pages   the status page, its JSON, /metrics, /healthz
site            the process: passes beside a server
proving         what is offered, built again
bundles         a folder to carry: made, and looked at
"""
