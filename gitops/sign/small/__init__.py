"""One small TUF repository for each box (ADR 108): what a box fetches does not grow with the fleet.

repository   one repository: read as it is published, signed where it is due
fleet        all of them, each read once
reading      the same without any key
"""
