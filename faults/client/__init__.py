"""Faults of the client: what happens to the process or thread that holds a connection."""
