"""Whose reports count under a box's name: the key there is, the key that comes, and who asks.

requests    strangers' requests, bounded
desk        keys are let in, replaced when the new one is seen, and taken away
host_keys   SSH host keys get certificates
"""
