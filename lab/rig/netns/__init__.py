"""The embedded rig in a network namespace of its own, whose packets can be lost."""
