"""Work outside of requests: management commands, task queues, an executor's threads. Django tells nothing of its ends.

Within a request a lost session stays lost, because what the request has set on it would be gone without a word. A
command has no end at which the next session could come, and would be dead for ever after one restart of the server. So
outside of requests a lost session is replaced at the next use: once the application has heard of the loss or, silently,
where it has left nothing on the session that could be missed.
"""

from __future__ import annotations

import re
import threading
from typing import Any

from django.core.signals import request_finished, request_started

_PLAIN = re.compile(r"\s*(?:select|insert|update|delete|merge|values|with|table|explain|show)\b", re.IGNORECASE)
_LEAVES = re.compile(r"set_config|advisory_lock|dblink_connect|\bcurrval|\blastval", re.IGNORECASE)
"""Functions by which a plain statement leaves something on its session, or looks for it there."""


class _Here(threading.local):
    """What is known of the current thread."""

    in_request = False
    in_doubt: tuple[Any, ...] = ()
    """Wrappers that were told of more than one end within a block: it goes on, or its request never left it."""


here = _Here()


def _begin(**_: Any) -> None:
    here.in_request = True
    if here.in_doubt:
        wrappers, here.in_doubt = here.in_doubt, ()
        for wrapper in wrappers:
            wrapper.request_begins()


def _end(**_: Any) -> None:
    here.in_request = False


def watch() -> None:
    """Hear of the requests of every thread."""
    request_started.connect(_begin, dispatch_uid="persistent_core.outside")
    request_finished.connect(_end, dispatch_uid="persistent_core.outside")


def leaves_state(sql: Any) -> bool:
    """Whether a statement may leave something on its session that a new one would lack. Not sure is yes."""
    return not isinstance(sql, str) or _PLAIN.match(sql) is None or _LEAVES.search(sql) is not None


watch()
