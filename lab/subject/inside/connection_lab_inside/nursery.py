"""Forks zygotes that have Python, Django and the driver imported already, which costs 150 ms of CPU each time.

Nothing of a variant is imported here, so that zygotes have nothing of each other; and of Django's PostgreSQL backend
nothing, because an ENGINE may put something else in the place of a base class before it imports that.

Its channel is one end of a SOCK_SEQPACKET pair. Each message is `{"environ": what differs, "folder": …}` with the
descriptors of a zygote: its channel, what its guard tells, its warden's control, its log. Or it is `{"reap": PID}`, of
a warden that has ended.

Each fork is a warden: it lays the filter on itself, then forks the zygote. The nursery itself has no filter: it runs no
code but Django's and the driver's, under the lab's own interpreter.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import importlib.util
import json
import os
import socket
import sys
import traceback
from collections.abc import Callable
from types import ModuleType
from typing import Any, NoReturn

from connection_lab_inside import agent, clock, config

DESCRIPTORS = 4
NEEDED = (
    "django.core.serializers",
    "django.db.models",
    *(f"django.db.backends.base.{part}" for part in ("base", "creation", "introspection", "operations", "schema")),
    "django.db.backends.ddl_references",
)
"""What Django's PostgreSQL backend imports: nearly all of its time goes there."""
MORE = {"psycopg2": ("extras", "sql"), "psycopg": ("sql", "types.range", "types.multirange", "types.json")}
"""The modules of each driver that it imports."""


def main(descriptor: int, warden: str, driver: str) -> None:
    """Import, say so, then fork on demand until the lab goes away; where `driver` is empty, import the agent alone."""
    channel = socket.socket(fileno=descriptor)
    clock.install()
    held_by = _load(warden)
    if driver:
        config.choose(driver)
        with contextlib.suppress(Exception):  # the zygote meets the same error, and reports it
            for name in (driver, *NEEDED, *(f"{driver}.{part}" for part in MORE[driver])):
                importlib.import_module(name)
    gc.collect()
    gc.freeze()
    channel.send(b"{}")
    while True:
        data, descriptors, _, _ = socket.recv_fds(channel, agent.LONGEST_MESSAGE, DESCRIPTORS)
        if not data:
            return
        message = json.loads(data)
        if "reap" in message:
            _, status = os.waitpid(message["reap"], 0)
            channel.send(json.dumps({"status": status}).encode())
            continue
        pid = os.fork()
        if pid == 0:
            channel.close()
            _warden(held_by, message, descriptors)
        for each in descriptors:
            os.close(each)
        channel.send(json.dumps({"pid": pid}).encode())


def _load(path: str) -> ModuleType:
    """The warden's program, which is no part of a package, as a module."""
    spec = importlib.util.spec_from_file_location("connection_lab_warden", path)
    if spec is None or spec.loader is None:
        raise ImportError(path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _warden(held_by: ModuleType, message: dict[str, Any], descriptors: list[int]) -> NoReturn:
    """What a program of its own would be: another session, folder, environment and output."""
    channel, tell, control, log = descriptors
    own, status = os.getpid(), 1
    try:
        os.setsid()  # Ctrl-C is for the lab, which then ends its subjects
        agent.die_with_parent()
        os.dup2(log, sys.stdout.fileno())
        os.dup2(log, sys.stderr.fileno())
        os.close(log)
        os.chdir(message["folder"])
        for name, value in message["environ"].items():
            os.environ.pop(name, None)
            os.environ.update({name: value} if value is not None else {})
        status = held_by.guard(control, [channel, tell], lambda stack, let_go: _zygote(channel, tell, stack, let_go))
    except BaseException:
        if os.getpid() != own:
            raise  # the zygote has come to its end, and Python ends as it does in any program
        traceback.print_exc()
    finally:
        if os.getpid() == own:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    raise AssertionError("only a fork gets here, by an exception")


def _zygote(channel: int, tell: int, stack: int, let_go: Callable[[], None]) -> int:
    """Fork the zygote; its pid. The zygote itself ends by SystemExit."""
    pid = os.fork()
    if pid:
        return pid
    let_go()
    agent.main(channel, tell, stack)
    sys.exit()
