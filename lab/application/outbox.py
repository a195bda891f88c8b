"""Letters of a copy of this process that has been killed: what it sent is on its way, whatever became of it.

Django's test mailbox (`mail.outbox`) is a list in memory, which dies with the copy. A file that both share outlives it.
"""

from __future__ import annotations

import pickle
from typing import IO, Any

from django.core import mail
from django.core.mail import EmailMessage

_MAIL: Any = mail
"""The module, of whose `outbox` its type does not tell."""


class _Posted(list[Any]):
    """The mailbox of the copy: each letter is written down before its sender goes on."""

    def __init__(self, letters: list[Any], file: IO[bytes]) -> None:
        super().__init__(letters)
        self._file = file

    def append(self, letter: Any) -> None:
        super().append(letter)
        self._file.write(_packed(letter))


def _packed(letter: Any) -> bytes:
    try:
        return pickle.dumps(letter)
    except Exception:  # noqa: BLE001  # whatever a project hangs on its letters: without it
        plain = EmailMessage(str(letter.subject), str(letter.body), str(letter.from_email), list(letter.to))
        return pickle.dumps(plain)


def write_down(file: IO[bytes]) -> None:
    """In the copy: keep in the file, which is unbuffered, what is sent from here on."""
    if hasattr(mail, "outbox"):
        _MAIL.outbox = _Posted(mail.outbox, file)


def deliver(file: IO[bytes]) -> None:
    """In this process, when the copy is gone: put its letters into the mailbox."""
    file.seek(0)
    while True:
        try:
            letter = pickle.load(file)  # noqa: S301  # this process's own copy has written it
        except (EOFError, pickle.UnpicklingError):  # the last one may have been cut short
            return
        _MAIL.outbox.append(letter)
