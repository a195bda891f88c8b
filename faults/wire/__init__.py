"""Faults at a moment of the protocol: the wire tap acts when the moment comes, at the byte that it names."""
