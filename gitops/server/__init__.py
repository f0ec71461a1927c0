"""The update server: what boxes fetch, what they say, and pages for people, at another address.

app             the applications: boxes_app, people_app, or both in one (create_app); serve(app, listen)
listeners       both listeners by the settings; secured: TLS by files
body            what a request brings, within bounds
bounds          connections that nobody holds for ever
boxes/files     metadata, targets, layers, deltas: by digest, with Range, HEAD and ETag
boxes/reports   POST /api/v1/boxes/BOX/report: bounded, signed, never twice
people/page     the pages, and pages/ what each shows, pictures/ what is drawn
people/guard    who asks, and whether that person may: login, sessions, tokens, forms
people/live     tells an open page that something happened
people/api      the API for reading
people/metrics  /metrics, /healthz, /readyz
people/waiting  one answer for everybody who asks at the same time, and whose turn it is
people/rendering  what makes it, in a process of its own: Apart(settings)
"""

from gitops.server.app import create_app, serve, settled
from gitops.server.listeners import listening
from gitops.server.people.rendering import Apart

__all__ = ["Apart", "create_app", "listening", "serve", "settled"]
