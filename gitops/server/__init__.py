"""The update server: what boxes fetch, what they say, and a page for people.

app       the application: create_app(store, settings), serve(app, listen)
files     metadata, targets, layers, deltas: by digest, with Range, HEAD and ETag
reports   POST /api/v1/boxes/BOX/report: bounded, signed, never twice
status    pure: what the store knows of a box -> sync, health and reasons, as people read them
page      the first page, the API for reading, /metrics, /healthz, /readyz
"""

from gitops.server.app import create_app, serve

__all__ = ["create_app", "serve"]
