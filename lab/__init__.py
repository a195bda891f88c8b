"""The connection lab: which promises does a Django database backend keep when connections are severed?"""

__version__ = "0.1.0"
