"""The faults: one small file each, found by the name under which it is registered.

They import the lab's protocols (`lab.fault`, records) and never a concrete server, so that every rig runs them.
"""
