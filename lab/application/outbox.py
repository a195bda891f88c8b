"""E-mails of a forked copy of this process that is killed: what it has sent is sent, although the copy is gone.

Django's test mailbox (`mail.outbox`) is a list in memory, which dies with the copy. A file that both processes share
outlives it.
"""

from __future__ import annotations

import pickle
from typing import IO, Any

from django.core import mail
from django.core.mail import EmailMessage

_MAIL: Any = mail
"""Typed Any, because the type of the module does not know `outbox`."""


class _Posted(list[Any]):
    """The mailbox of the copy: each e-mail is in the file before the call that sends it returns."""

    def __init__(self, emails: list[Any], file: IO[bytes]) -> None:
        super().__init__(emails)
        self._file = file

    def append(self, email: Any) -> None:
        super().append(email)
        self._file.write(_packed(email))


def _packed(email: Any) -> bytes:
    try:
        return pickle.dumps(email)
    except Exception:  # noqa: BLE001  # a project's own attributes cannot be pickled: without them
        plain = EmailMessage(str(email.subject), str(email.body), str(email.from_email), list(email.to))
        return pickle.dumps(plain)


def write_down(file: IO[bytes]) -> None:
    """In the copy: write to the file, which is unbuffered, what is sent from here on."""
    if hasattr(mail, "outbox"):
        _MAIL.outbox = _Posted(mail.outbox, file)


def deliver(file: IO[bytes]) -> None:
    """In this process, when the copy is gone: put its e-mails into the mailbox."""
    file.seek(0)
    while True:
        try:
            email = pickle.load(file)  # noqa: S301  # this process's own copy has written it
        except (EOFError, pickle.UnpicklingError):  # the last one may have been cut short
            return
        _MAIL.outbox.append(email)
