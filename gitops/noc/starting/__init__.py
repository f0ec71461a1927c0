"""Starts by the network at a site: what is handed out, and how often it came to nothing (ADR 85).

bringing    what starts a box: named by the signed metadata, brought, proven
ground      what this site knows of the boxes that it starts; a count of its own, which needs no origin
"""
