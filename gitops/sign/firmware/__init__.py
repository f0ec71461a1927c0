"""Other certificates for the firmware of boxes that nobody visits.

variables    signed updates of KEK and db, as firmware takes them
renewal      the keys folder gets a new KEK or db; the old one is dropped later
"""
