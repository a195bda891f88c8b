"""Starts a subject, `start.py zygote CHANNEL TELL STACK`, or what forks them, `start.py nursery CHANNEL WARDEN DRIVER`.

CHANNEL, TELL and STACK are numbers of open descriptors, WARDEN is the path of warden.py. This folder is on the path for
as long as the lab's own package takes to be found, and then no more: what a project calls `start`, `config` or `agent`
is the project's.
"""

from __future__ import annotations

import sys

if __name__ == "__main__":
    try:
        from connection_lab_inside import agent, nursery
    except ImportError as error:
        sys.exit(f"Django does not import under {sys.executable}: {error}")
    del sys.path[0]
    what, *given = sys.argv[1:]
    if what == "nursery":
        nursery.main(int(given[0]), *given[1:])
    else:
        agent.main(*map(int, given))
