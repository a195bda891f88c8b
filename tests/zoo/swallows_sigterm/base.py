"""Deaf: its own handler of SIGTERM does nothing, so that its process goes on when it is told to stop.

No promise says that a process must end: it has its sessions as long as it lives.
"""

from __future__ import annotations

import signal

from zoo.careful import Careful as DatabaseWrapper

signal.signal(signal.SIGTERM, lambda *_: None)

__all__ = ["DatabaseWrapper"]
