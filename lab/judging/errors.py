"""What an error is, by its class, its SQLSTATE and where it was raised. No text is read: texts vary, these do not."""

from __future__ import annotations

from collections.abc import Iterable

from lab.judging.calls import Call
from lab.records.history import Cause

DRIVERS = ("psycopg", "psycopg2", "psycopg_pool")
DATABASE = ("django.db", *DRIVERS)
SOCKET = ("builtins.OSError", "builtins.Connection", "builtins.BrokenPipe", "builtins.Timeout")
"""How the names of the classes begin that a lost connection raises: Django's, a driver's, a socket's."""
LOST = ("08", "57P", "25P03")
"""Classes of SQLSTATE that come with the end of a session: they say nothing of the statement."""
STATEMENT = ("ProgrammingError", "DataError", "IntegrityError", "NotSupportedError")
"""Classes of PEP 249 that say that the statement is wrong: to try it again would be of no use."""
UNUSABLE = ("psycopg2.InterfaceError", "psycopg.InterfaceError")
"""What a driver raises by itself, without a word to the server."""


def nearest(cause: Cause) -> str:
    """Its class, or the nearest ancestor that is Django's, a driver's or Python's own."""
    return cause.base or cause.cls


def of_database(cause: Cause) -> bool:
    """Whether a handler of database errors, or of sockets' errors, catches it."""
    return nearest(cause).startswith((*DATABASE, *SOCKET))


def of_driver(cause: Cause) -> bool:
    """Whether the driver itself has raised it."""
    return nearest(cause).partition(".")[0] in DRIVERS and not cause.base


def of_statement(cause: Cause) -> bool:
    """Whether the server was there to refuse a statement."""
    return bool(cause.sqlstate) and not cause.sqlstate.startswith(LOST)


def blames_the_statement(call: Call) -> bool:
    """Whether what left it, and its causes, blame the statement, while a driver's error that it hides does not.

    Django's own TransactionManagementError, a kind of ProgrammingError, speaks of the block.
    """
    parts = [nearest(cause).rpartition(".") for cause in call.visible]
    blamed = all(module in ("django.db.utils", *DRIVERS) and name in STATEMENT for module, _, name in parts)
    return blamed and not any(map(of_statement, call.chain)) and any(_of_session(cause) for cause in call.hidden)


def _of_session(cause: Cause) -> bool:
    """Whether the driver has said by it that something is wrong with the session."""
    return of_driver(cause) and nearest(cause).rpartition(".")[2] not in STATEMENT


def names_attempt(causes: Iterable[Cause]) -> bool:
    """Whether an attempt to connect has raised one of these."""
    return any(cause.origin == "connect" for cause in causes)


def stands_for_an_attempt(call: Call) -> bool:
    """Whether what left the call is the error of an attempt to connect, or was raised in the place of one."""
    if names_attempt(call.visible):
        return names_attempt(call.visible[-1:])
    return not of_driver(call.visible[-1]) and names_attempt(call.hidden[:1])


def hides_an_earlier_one(call: Call) -> bool:
    """Whether what left COMMIT is a driver's error of something else, raised while an earlier one was being handled.

    One that comes out of COMMIT may have been raised again after all that was tried in between.
    """
    root = call.visible[-1]
    earlier = any(of_driver(cause) or cause.origin == "signal" for cause in call.hidden if cause.origin != "connect")
    return of_driver(root) and root.origin != "commit" and earlier


def sent_commit(call: Call) -> bool:
    """Whether the driver itself has raised out of COMMIT for a loss: it has tried to send it and can know no more."""
    out_of_commit = [cause for cause in call.chain if cause.origin == "commit" and of_driver(cause)]
    return any(cause.cls not in UNUSABLE and not of_statement(cause) for cause in out_of_commit)


def quotes_an_attempt(call: Call) -> bool:
    """Whether its own text repeats that of an attempt's error that it hides: the one use of a text, and it acquits."""
    told = [cause.text for cause in call.hidden if cause.origin == "connect" and cause.text]
    return any(text in call.visible[0].text for text in told)
