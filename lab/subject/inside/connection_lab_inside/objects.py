"""What an application changes on the driver's connection object and on Django's wrapper, and what is there later.

None of it is in the server's session, so no reset of the session undoes it.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from typing import Any

from django.db import transaction

DATE = 1082
"""The oid of PostgreSQL's type date."""
SOON = 3
"""Executions after which psycopg 3 is told to prepare; no configuration of the lab's has that number."""


def change(connection: Any, what: str) -> bool:
    """Make one change, as `Set` in lab/records/plan.py names it; False where the driver has no such thing."""
    connection.ensure_connection()
    try:
        if what in WRAPPER:
            WRAPPER[what](connection)
        else:
            DRIVER[what](connection.connection)
    except AttributeError:
        return False
    return True


def look(connection: Any) -> dict[str, Any]:
    """What the objects of this thread's connection are like now, each field as JSON data.

    Of what has no value of its own to compare (a factory, a handler, a hook), whether the lab's is there.
    """
    raw = connection.connection
    readonly = getattr(raw, "read_only", getattr(raw, "readonly", None))
    return {
        "driver_autocommit": getattr(raw, "autocommit", None),
        "driver_isolation_level": str(getattr(raw, "isolation_level", None)),
        "driver_read_only": readonly,
        "deferrable": getattr(raw, "deferrable", None),
        "prepare_threshold": getattr(raw, "prepare_threshold", None),
        "cursor_factory": getattr(getattr(raw, "cursor_factory", None), "of_the_lab", False),
        "row_factory": getattr(raw, "row_factory", None) is _row_factory,
        "type_loader": _loads_dates(raw),
        "notice_handler": _hears(raw, "_notice_handlers", "notices"),
        "notify_handler": _hears(raw, "_notify_handlers", "notifies"),
        "encoding": getattr(raw, "encoding", None),
        "unread_notifications": len(_unread(raw)),
        "force_debug_cursor": connection.force_debug_cursor,
        "execute_wrappers": _pass in connection.execute_wrappers,
        "run_on_commit": any(_hook in entry for entry in connection.run_on_commit),
        "needs_rollback": connection.needs_rollback,
        "savepoint_ids": len(connection.savepoint_ids),
    }


def pool_max() -> int:
    """The largest maximum of the pools in this process, of the kinds in POOLS.

    0 where there is no pool, and where one has no maximum.

    The garbage collector knows of pools that no setting names: an ENGINE makes its own. It does not list what the
    zygote has handed to gc.freeze(), so the zygote looks before that, and a fork has few objects to look through.
    """
    kinds = [
        (getattr(sys.modules[module], name), size)
        for (module, name), size in POOLS.items()
        if hasattr(sys.modules.get(module), name)
    ]
    found = gc.get_objects() if kinds else []
    sizes = [size(each) for each in found for kind, size in kinds if isinstance(each, kind)]
    return max(sizes, default=0) if all(sizes) else 0


POOLS: dict[tuple[str, str], Callable[[Any], int]] = {
    ("psycopg_pool", "ConnectionPool"): lambda pool: int(pool.max_size),
    ("psycopg2.pool", "AbstractConnectionPool"): lambda pool: int(pool.maxconn),
    ("sqlalchemy.pool", "QueuePool"): lambda pool: _queue_pool(pool.size(), pool._max_overflow),  # noqa: SLF001  # said nowhere else
    ("dbutils.pooled_db", "PooledDB"): lambda pool: int(pool._maxconnections),  # noqa: SLF001  # said nowhere else
}


def _queue_pool(size: int, overflow: int) -> int:
    """SQLAlchemy's maximum; 0 without one, which it writes as a size of 0 or an overflow of -1."""
    return size + overflow if size > 0 and overflow >= 0 else 0


def _hook() -> None:
    pass


def _hear(*told: Any) -> None:
    pass


def _pass(execute: Any, *of_it: Any) -> Any:
    return execute(*of_it)


def _row_factory(_: Any) -> Any:
    return tuple


class _Heard(list[Any]):
    """What psycopg2 takes in the place of its lists of notices and notifications."""


def _isolation_level(raw: Any) -> None:
    raw.isolation_level = 3 if hasattr(raw, "set_session") else 4  # serializable, as each driver counts


def _read_only(raw: Any) -> None:
    setattr(raw, "readonly" if hasattr(raw, "set_session") else "read_only", True)


def _attribute(name: str, value: Any) -> Callable[[Any], None]:
    def change(raw: Any) -> None:
        getattr(raw, name)  # a driver that has none refuses
        setattr(raw, name, value)

    return change


def _cursor_factory(raw: Any) -> None:
    base = raw.cursor_factory
    if base is None:
        from psycopg2.extensions import cursor as base
    raw.cursor_factory = type("LabCursor", (base,), {"of_the_lab": True})


def _type_loader(raw: Any) -> None:
    if hasattr(raw, "adapters"):
        from psycopg.types.string import TextLoader

        raw.adapters.register_loader("date", type("LabLoader", (TextLoader,), {}))
        return
    from psycopg2.extensions import new_type, register_type

    register_type(new_type((DATE,), "LAB_DATE", lambda value, _: value), raw)


def _loads_dates(raw: Any) -> bool:
    if hasattr(raw, "adapters"):
        return getattr(raw.adapters.get_loader(DATE, 0), "__name__", "") == "LabLoader"
    kinds = getattr(raw, "string_types", None) or {}
    return getattr(kinds.get(DATE), "name", "") == "LAB_DATE"


def _notice_handler(raw: Any) -> None:
    if hasattr(raw, "add_notice_handler"):
        raw.add_notice_handler(_hear)
    else:
        raw.notices = _Heard()


def _notify_handler(raw: Any) -> None:
    if hasattr(raw, "add_notify_handler"):
        raw.add_notify_handler(_hear)
    else:
        raw.notifies = _Heard()


def _hears(raw: Any, of_psycopg: str, of_psycopg2: str) -> bool:
    return _hear in getattr(raw, of_psycopg, ()) or isinstance(getattr(raw, of_psycopg2, None), _Heard)


def _unread(raw: Any) -> Any:
    """The notifications that the driver has read and the application has not."""
    listed = getattr(raw, "notifies", ())
    return getattr(raw, "_notifies_backlog", ()) if callable(listed) else listed


def _unread_notifications(raw: Any) -> None:
    with raw.cursor() as cursor:
        for statement in ("LISTEN lab_unread", "NOTIFY lab_unread", "UNLISTEN lab_unread"):
            cursor.execute(statement)


DRIVER: dict[str, Callable[[Any], Any]] = {
    "driver_autocommit": _attribute("autocommit", False),
    "driver_isolation_level": _isolation_level,
    "driver_read_only": _read_only,
    "deferrable": _attribute("deferrable", True),
    "prepare_threshold": _attribute("prepare_threshold", SOON),
    "cursor_factory": _cursor_factory,
    "row_factory": _attribute("row_factory", _row_factory),
    "type_loader": _type_loader,
    "notice_handler": _notice_handler,
    "notify_handler": _notify_handler,
    "encoding": lambda raw: raw.set_client_encoding("LATIN1"),
    "unread_notifications": _unread_notifications,
}
WRAPPER: dict[str, Callable[[Any], Any]] = {
    "force_debug_cursor": lambda wrapper: setattr(wrapper, "force_debug_cursor", True),
    "execute_wrappers": lambda wrapper: wrapper.execute_wrapper(_pass).__enter__(),
    "run_on_commit": lambda wrapper: transaction.on_commit(_hook, using=wrapper.alias),
    "needs_rollback": lambda wrapper: transaction.set_rollback(True, using=wrapper.alias),
    "savepoint_ids": lambda wrapper: transaction.atomic(using=wrapper.alias).__enter__(),
}
