"""A plan as people review it: what changes, where, how large, who signed; and the forges where they read it.

changes + sizes + versions -> summary -> text, markdown; `forge` is what a forge can do, `github` one of them,
`reviewer` decides what to say there and when. Everything but `github` and `http` is pure.
"""
