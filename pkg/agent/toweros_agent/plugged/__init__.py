"""What somebody plugs into a running box (ADR 82).

folder     a bundle that was copied into a folder of the box
reader     the process that reads a stick's file system
stick      the agent's end of it: one stick
sticks     which are there
coming     what people are told of it, and the report that goes back on it
"""
