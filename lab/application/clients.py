"""What stands between the test and its application: test clients made to behave like a server's, and what they keep.

Django's test client takes close_old_connections out of both request signals, so that a test's own connection lives on:
no request after a lost connection would ever get a new one, as it does behind a real server. While a case runs, the
*name* by which the client takes it out means a function that does nothing.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from functools import cache, wraps
from typing import Any
from weakref import WeakSet

from django.core import mail
from django.core.cache.backends import locmem
from django.core.signals import request_finished, request_started
from django.test import client as test_client

_CLIENT: Any = test_client
_CACHES: Any = locmem
"""Modules whose names are changed, or read, that their types do not tell of."""


def _leave_alone(**_: object) -> None:
    """Takes the place of close_old_connections where the client would take that one out."""


@contextmanager
def as_browsers() -> Iterator[None]:
    """Test clients' requests open, keep and close connections as behind a server, and answer 500 if a view raises."""
    closing = _CLIENT.close_old_connections
    checking = _CLIENT.ClientMixin.check_exception

    def check_exception(self: Any, response: Any) -> None:
        response.exc_info, self.exc_info = self.exc_info, None

    _CLIENT.close_old_connections = _leave_alone
    _CLIENT.ClientMixin.check_exception = check_exception
    try:
        yield
    finally:
        _CLIENT.close_old_connections = closing
        _CLIENT.ClientMixin.check_exception = checking
        for signal in (request_started, request_finished):
            signal.disconnect(_leave_alone)  # the client has put it back


class Known:
    """The test clients of this process, wherever the tests keep them, without keeping them alive.

    Those that are there already are looked for once, among all objects: by type, because isinstance wakes lazy ones.
    Later ones are seen when they are made.
    """

    def __init__(self) -> None:
        self._kinds: set[type] = set(_below(test_client.ClientMixin))
        self._clients: WeakSet[Any] = WeakSet(each for each in gc.get_objects() if type(each) in self._kinds)
        original = _CLIENT.RequestFactory.__init__

        @wraps(original)
        def init(made: Any, *args: Any, **kwargs: Any) -> None:
            original(made, *args, **kwargs)
            if isinstance(made, test_client.ClientMixin):
                self._clients.add(made)

        _CLIENT.RequestFactory.__init__ = init

    def clients(self) -> list[Any]:
        """Those that are alive."""
        return list(self._clients)


def _below(kind: type) -> Iterator[type]:
    yield kind
    each: type
    for each in kind.__subclasses__():
        yield from _below(each)


@cache
def _known() -> Known:
    return Known()


class Kept:
    """What requests change in this process and the lab can put back: cookies of test clients, mail, local caches."""

    def __init__(self) -> None:
        self._clients = _known().clients()
        self._cookies: list[Any] = [deepcopy(each.cookies) for each in self._clients]
        self._mail = list(getattr(mail, "outbox", ()))
        self._caches = {name: cache.copy() for name, cache in _CACHES._caches.items()}  # noqa: SLF001
        self._expiry = {name: when.copy() for name, when in _CACHES._expire_info.items()}  # noqa: SLF001

    def restore(self) -> None:
        """Put it back; the mailbox and the caches stay the objects that they were."""
        for each, cookies in zip(self._clients, self._cookies, strict=True):
            each.cookies = deepcopy(cookies)
        if hasattr(mail, "outbox"):
            mail.outbox[:] = self._mail
        for live, saved in ((_CACHES._caches, self._caches), (_CACHES._expire_info, self._expiry)):  # noqa: SLF001
            for name, values in live.items():
                values.clear()
                values.update(saved.get(name, {}))
