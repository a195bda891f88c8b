"""The rig on containers."""
