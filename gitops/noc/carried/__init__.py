"""Bundles as they lie before us: a folder, an ISO, an image or a stick.

places     opened
room       where a box writes its report
iso        made as an ISO
showing    what is in one
returned   reports that came back
"""
