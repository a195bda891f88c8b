"""What Dask loads first in a worker of this machine.

Ctrl-C on a terminal reaches every process that was started from it. The workers are ended by the campaign, which says
what is kept; on their own each of them would print a traceback.
"""

from __future__ import annotations

import signal
from typing import Any


def dask_setup(_worker: Any) -> None:
    """Called by Dask in the worker's main thread."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
