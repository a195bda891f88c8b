"""Whether the current thread is in a request: what Django's signals tell."""

from __future__ import annotations

import threading
from typing import Any

from django.core.signals import request_finished, request_started


class Here(threading.local):
    """What is known of the current thread."""

    in_request = False


here = Here()


def begin(**_: Any) -> None:
    here.in_request = True


def end(**_: Any) -> None:
    here.in_request = False


request_started.connect(begin)
request_finished.connect(end)
