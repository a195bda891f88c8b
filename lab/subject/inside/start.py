"""Starts the zygote: `python start.py CHANNEL TELL STACK`, each the number of an open descriptor.

This folder is on the path for as long as the lab's own package takes to be found, and then no more: what a project
calls `start`, `config` or `agent` is the project's.
"""

from __future__ import annotations

import sys

if __name__ == "__main__":
    try:
        from connection_lab_inside import agent
    except ImportError as error:
        sys.exit(f"Django does not import under {sys.executable}: {error}")
    del sys.path[0]
    agent.main(*map(int, sys.argv[1:]))
