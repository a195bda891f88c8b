"""The zygote: imports Django and the variant once, holds no connection, and forks a child for each plan.

Its channel is one end of a SOCK_SEQPACKET pair. The first message is the configuration.
After that each message carries one descriptor, the child's own channel, and the server's address. Starting Python
and Django costs 300 ms, a fork 2 to 5.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import gc
import json
import os
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Sequence
from typing import Any

from connection_lab_inside import actor as actors
from connection_lab_inside import attempts, clock, objects
from connection_lab_inside import config as configuration
from connection_lab_inside.chain import Exiting, Interrupted, InterruptedBase
from connection_lab_inside.guard import Guard
from connection_lab_inside.threads import Own
from connection_lab_inside.warm import warm

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
LONGEST_MESSAGE = 1 << 16
RAISES: dict[int, type[BaseException]] = {
    signal.SIGUSR1: Interrupted,
    signal.SIGUSR2: InterruptedBase,
    signal.SIGRTMIN + 1: Exiting,
}
"""What the handlers of these signals raise. SIGTERM has none, as in most programs."""
fork, waitid, waitpid = os.fork, os.waitid, os.waitpid
"""The operating system's own, taken before an ENGINE can patch them: gevent reaps children behind its waitpid."""


prctl = ctypes.CDLL(None).prctl
"""Looked up once: each plan's process would take a quarter of a millisecond for it."""


def die_with_parent() -> None:
    """Ask the kernel for SIGKILL when the parent ends; it may have ended just before."""
    parent = os.getppid()
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def main(descriptor: int, tell: int, stack: int) -> None:
    """Configure, say hello, then fork on demand until the lab goes away; `tell` and `stack` are the guard's."""
    channel = socket.socket(fileno=descriptor)
    die_with_parent()
    prctl(PR_SET_CHILD_SUBREAPER, 1)  # what a plan's process forks is ours when that has ended
    config = json.loads(channel.recv(LONGEST_MESSAGE))
    guard = Guard(tell, stack, held=config["held"])
    notes: list[str] = []
    clock.install()  # before anything of the variant can take a clock by its name
    try:
        configuration.prepare_process(config, notes)
        guard.watch_drivers()
        attempts.watch(config["driver"])  # before any ENGINE can take a name of the driver for its own
        loaded = configuration.load(config, notes)
        guard.watch_drivers()
        guard.wrapper = loaded.wrapper
        hello = configuration.traits(loaded, config["driver"])
        hello["pool_max"] = hello["pool_max"] or objects.pool_max()  # before gc.freeze(), which hides them
        hello["engine"] = loaded.database["ENGINE"]
        hello["secrets"] = configuration.secrets(config["secret_keys"])
        configuration.hide_servers()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # where it is ignored no child can be waited for
        hello["files"] = len(os.listdir("/proc/self/fd")) - 1  # one is the listing's; a child has as many
    except configuration.Refused as refusal:
        secrets = configuration.secrets(config["secret_keys"])
        said = {"refused": str(refusal), "remedy": refusal.remedy, "secrets": secrets}
        channel.send(json.dumps(said).encode())
        return
    channel.send(json.dumps(hello, default=repr).encode())
    warm(config["driver"], pool=bool(loaded.database.get("OPTIONS", {}).get("pool")))
    gc.collect()
    gc.freeze()  # the children share these pages
    while True:
        data, descriptors, _, _ = socket.recv_fds(channel, LONGEST_MESSAGE, 1)
        if not data:
            return
        message = json.loads(data)
        if "reap" in message:
            channel.send(json.dumps({"status": reap(message["reap"])}).encode())
            continue
        pid = fork()
        if pid == 0:
            channel.close()
            guard.allow(message["databases"])
            child(socket.socket(fileno=descriptors[0]), message, loaded.alias)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.setpgid(pid, pid)  # as the child does: whoever comes first, so that it has its group in either case
        os.close(descriptors[0])
        channel.send(json.dumps({"pid": pid}).encode())


def reap(pid: int) -> int:
    """The exit status of a plan's process once it has ended, and with it the end of all that it had forked."""
    waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)  # not yet reaped, it keeps its number from being used again
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    _, status = waitpid(pid, 0)
    try:
        while True:
            waitpid(-pid, 0)  # orphans of its group, which have become ours
    except ChildProcessError:
        return os.waitstatus_to_exitcode(status)


def child(channel: socket.socket, message: dict[str, Any], alias: str) -> None:
    """One plan's life. The main thread is the actor `t0`: only there do signal handlers run."""
    status = 1
    try:
        os.setpgid(0, 0)  # what it forks can then be found, and ended with it
        die_with_parent()
        os.environ.update(message["environ"])
        aliases = point_at(message["databases"], alias)
        Stage(channel, aliases, message.get("init", ())).run()
        status = 0
    except SystemExit:  # a forked child's normal exit: Python shuts down as it would in any program
        status = -1
        raise
    except BaseException:  # it must not run on as a second zygote
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        if status >= 0:
            os._exit(status)


def point_at(databases: dict[str, dict[str, Any]], judged: str) -> dict[str, str]:
    """Put the servers' addresses into the settings; what Django calls each of the lab's aliases.

    The dictionaries are changed in place: connection objects that were made while a project loaded have them.
    """
    from django.db import connections

    known = connections.settings
    base = dict(known[judged])
    aliases = {"default": judged}
    for database in configuration.in_use():
        if database.get("HOST") == configuration.PLACEHOLDER["HOST"]:
            database.update(databases["default"])
    for alias, where in databases.items():
        own = where.pop("OPTIONS", {})
        options = {**base["OPTIONS"], **own}
        if "options" in own and "options" in base["OPTIONS"]:
            options["options"] = f"{base['OPTIONS']['options']} {own['options']}"
        if alias != "default":
            aliases[alias] = f"lab_{alias}" if alias in known else alias
        known.setdefault(aliases[alias], {}).update({**base, **where, "OPTIONS": options})
    return aliases


class Stage:
    """Reads steps from the channel on a thread of its own and hands them to the actors."""

    def __init__(self, channel: socket.socket, aliases: dict[str, str], init: Sequence[str] = ()) -> None:
        self._channel = channel
        self._aliases = aliases
        self._children: list[int] = []
        self._init = tuple(init)
        self._off_main: threading.Thread | None = None
        """In a child forked off another thread than the main one: its only thread. When that ends by SystemExit, Python
        ends neither the process nor what daemon threads wait for (Python 3.11 to 3.14), so the reader does."""
        self._lock = threading.Lock()
        self._actors: dict[str, actors.Actor] = {}
        self._threads: dict[str, threading.Thread] = {}
        self._main = actors.Actor("t0", self._reply, self._fork, self._aliases, stays=True)
        self._actors["t0"] = self._main
        if self._init:
            from django.db.backends.signals import connection_created

            connection_created.connect(self._initialise)

    def _initialise(self, connection: Any, **_: Any) -> None:
        """What a project's own receiver does."""
        with connection.cursor() as cursor:
            for statement in self._init:
                cursor.execute(statement)

    def _change_password(self, aliases: Sequence[str], password: str) -> None:
        """As a project's settings would give it from now on; Django's connections read these very dictionaries."""
        from django.db import connections

        for alias in aliases:
            own = connections.settings[self._aliases[alias]]
            login = (own["USER"], own["PASSWORD"])
            for database in configuration.in_use():  # a project's other aliases may have the same login
                if (database.get("USER"), database.get("PASSWORD")) == login:
                    database["PASSWORD"] = password

    def run(self) -> None:
        """Until the lab says `bye` or closes the channel."""
        for number in RAISES:
            signal.signal(number, self._interrupt)
        Own(target=self._read, name="lab-reader", daemon=True).start()
        while True:
            try:
                self._main.loop()
                return
            except (Interrupted, InterruptedBase):  # it struck between two steps
                continue

    def _interrupt(self, signum: int, frame: Any) -> None:
        busy = self._main.busy
        self._channel.send(b'{"interrupted": true}' if busy else b'{"interrupted": false}')
        if busy:
            raise RAISES[signum]("the worker's time limit")

    def _read(self) -> None:
        while True:
            data, descriptors, _, _ = socket.recv_fds(self._channel, LONGEST_MESSAGE, 1)
            message = json.loads(data) if data else {"do": "bye"}
            if message["do"] == "bye":
                break
            if message["do"] == "password":
                self._change_password(message["aliases"], message["password"])
                continue
            if message["do"] == "elapse":
                clock.forward(float(message["seconds"]))
                continue
            message["descriptors"] = descriptors
            actor = self._actor(message["actor"])
            actor.put(message)
            if message["do"] == "stop" and actor.name in self._threads:
                # Not here: an end that waits for another actor must not keep that one's steps from it.
                Own(target=self._join, args=(actor,), name="lab-joiner", daemon=True).start()
            if message["do"] == "exit" and self._off_main is not None:
                self._off_main.join()
                atexit._run_exitfuncs()  # noqa: SLF001  # nothing public runs them without ending the interpreter
                os._exit(0)
        for pid in self._children:  # they have ended: the lab sees to that
            waitpid(pid, 0)
        for actor in self._actors.values():
            actor.put(None)

    def _join(self, actor: actors.Actor) -> None:
        """Answer for an actor whose thread ends, once it has: what was the thread's, or its object's, is gone."""
        thread = self._threads.pop(actor.name)
        thread.join()
        del thread
        if actor.last_answer is not None:
            self._reply(actor.last_answer)

    def _actor(self, name: str) -> actors.Actor:
        if name not in self._actors:
            self._actors[name] = actors.Actor(name, self._reply, self._fork, self._aliases)
            # As asyncio.to_thread() and sync_to_async() do: the context is that of whatever starts the work.
            run = self._main.rests_in.copy().run
            loop = self._actors[name].loop
            thread = Own(target=run, args=(loop,), name="worker", daemon=True)  # names are no identities
            thread.start()
            self._threads[name] = thread
        return self._actors[name]

    def _fork(self, actor: actors.Actor, message: dict[str, Any]) -> int:
        """Fork with `actor` as the child's only thread; the child's own channel came with the message."""
        (descriptor,) = message["descriptors"]
        off_main = self._off_main is not None or threading.current_thread() is not threading.main_thread()
        pid = fork()
        if pid:
            os.close(descriptor)
            self._children.append(pid)
            return pid
        die_with_parent()
        self._channel.close()
        self._channel = socket.socket(fileno=descriptor)
        self._lock = threading.Lock()  # a thread that is not here may have held the old one
        name = f"{message['child']}.t0"
        actor.become(name, self._reply)
        self._main, self._actors, self._threads, self._children = actor, {name: actor}, {}, []
        self._off_main = threading.current_thread() if off_main else None
        Own(target=self._read, name="lab-reader", daemon=True).start()
        return 0

    def _reply(self, answer: dict[str, Any]) -> None:
        data = json.dumps(answer, default=str).encode()
        with self._lock:
            self._channel.send(data)
