"""Processes that belong to a lab: started so that they end with it, stopped within a deadline."""

from __future__ import annotations

import ctypes
import os
import pwd
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import psutil

from lab.errors import ServerNotReady, ToolMissing

LAB_ID = "LAB_ID"
"""The environment variable by which a guardian knows the processes of its lab."""

POLL_INTERVAL = 0.003
NOBODY = 65534
PR_SET_PDEATHSIG, PR_GET_PDEATHSIG = 1, 2
T = TypeVar("T")
_KEPT = ("PATH", "LD_LIBRARY_PATH", "SYSTEMROOT")

# Loaded now, because between fork and exec nothing may be imported.
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Home:
    """Where the processes of one lab live (`folder`) and how they are known (`lab_id`)."""

    lab_id: str
    folder: Path

    def environ(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """The environment of a server: nothing of the user's that could change what it does (PG*, LC_*, TZ)."""
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        fixed = {"HOME": str(self.folder), "TMPDIR": str(self.folder), "LC_ALL": "C", "TZ": "UTC", LAB_ID: self.lab_id}
        return {**kept, **fixed, **(extra or {})}


@dataclass(frozen=True)
class Identity:
    """The unprivileged user as whom a server runs when the lab is root."""

    uid: int
    gid: int


def unprivileged() -> Identity | None:
    """`nobody` when the lab is root (PostgreSQL refuses to run as root), else None: no change of user."""
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:
        return Identity(NOBODY, NOBODY)
    return Identity(entry.pw_uid, entry.pw_gid)


def run(argv: Sequence[str], home: Home, identity: Identity | None = None, timeout: float = 60.0) -> str:
    """Run a short command as a child of the lab and return its output. Raises `ServerNotReady` when it fails."""
    child = spawn(argv, home, stdout=subprocess.PIPE, identity=identity)
    try:
        output, _ = child.communicate(timeout=timeout)
    except subprocess.TimeoutExpired as error:
        child.kill()
        child.communicate()
        raise ServerNotReady(f"{argv[0]} did not end within {timeout:.0f} s") from error
    text = output.decode(errors="replace")
    if child.returncode:
        raise ServerNotReady(f"{argv[0]} ended with status {child.returncode}: {text[-500:].strip()}")
    return text


def spawn(
    argv: Sequence[str],
    home: Home,
    stdout: int,
    identity: Identity | None = None,
    environ: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """Start `argv` as a direct child that the kernel kills when the lab ends, with cwd in the lab's folder.

    `stdout` is a file descriptor (or subprocess.PIPE) and gets stderr as well. Raises `ToolMissing` when the program
    cannot be started.
    """
    lab_pid = os.getpid()

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            list(argv),
            cwd=home.folder,
            env=home.environ(environ),
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.STDOUT,
            # A Ctrl-C in the terminal is for the lab alone: it stops its servers in order.
            process_group=0,
            # The change of user clears the parent-death signal; subprocess runs preexec_fn after it. Threads make a
            # preexec_fn dangerous when it takes locks or imports: this one makes two system calls.
            preexec_fn=lambda: _die_with(lab_pid),  # noqa: PLW1509
            user=None if identity is None else identity.uid,
            group=None if identity is None else identity.gid,
            extra_groups=None if identity is None else [],
        )

    try:
        return _spawner().submit(start)
    except (OSError, subprocess.SubprocessError) as error:
        remedy = "check that it exists and may be executed"
        raise ToolMissing(f"{argv[0]} cannot be started ({error})", remedy) from error


def captured(argv: Sequence[str], timeout: float) -> subprocess.CompletedProcess[str]:
    """Run a command that belongs to no rig, as the user's own, and return its output.

    The kernel kills it when this process ends: what it makes would else go on growing. Raises OSError, TimeoutExpired.
    """
    own_pid = os.getpid()

    def start() -> subprocess.Popen[str]:
        return subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: _die_with(own_pid),  # noqa: PLW1509 - two system calls, as in spawn()
        )

    with _spawner().submit(start) as child:
        try:
            output, errors = child.communicate(timeout=timeout)
        except BaseException:  # Ctrl-C, too
            child.kill()
            raise
    return subprocess.CompletedProcess(child.args, child.returncode, output, errors)


def wait_until(happened: Callable[[], bool], timeout: float, interval: float = POLL_INTERVAL) -> bool:
    """Poll `happened` until it holds (True) or `timeout` seconds have passed (False)."""
    deadline = time.monotonic() + timeout
    while not happened():
        if time.monotonic() >= deadline:
            return False
        time.sleep(interval)
    return True


def ended(child: subprocess.Popen[bytes], timeout: float) -> bool:
    """Wait at most `timeout` seconds for `child` to end; also reaps it."""
    try:
        child.wait(timeout)
    except subprocess.TimeoutExpired:
        return False
    return True


def stop(child: subprocess.Popen[bytes], first: signal.Signals = signal.SIGTERM, timeout: float = 2.0) -> None:
    """Send `first`, then after `timeout` seconds SIGKILL. A stopped (SIGSTOP) child is killed as well."""
    if child.poll() is not None:
        return
    child.send_signal(first)
    if not ended(child, timeout):
        child.kill()
        child.wait()


def is_stopped(pid: int) -> bool:
    """Whether the kernel holds every thread of a process stopped: SIGSTOP reaches them one after another."""
    try:
        threads = psutil.Process(pid).threads()
        return all(psutil.Process(one.id).status() == psutil.STATUS_STOPPED for one in threads)
    except psutil.NoSuchProcess:
        return False


def can_die_with_parent() -> bool:
    """Whether the kernel has a parent-death signal."""
    answer = ctypes.c_int()
    return bool(_libc.prctl(PR_GET_PDEATHSIG, ctypes.byref(answer), 0, 0, 0) == 0)


def tail(path: Path, size: int = 600) -> str:
    """The last `size` characters of a log file, on one line, for an error message."""
    try:
        return " ".join(path.read_text(encoding="utf-8", errors="replace")[-size:].split())
    except OSError:
        return "(no log)"


def _die_with(lab_pid: int) -> None:
    """Runs in the child between fork and exec."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != lab_pid:  # the lab ended before the line above: no signal will come
        os._exit(1)


class _Spawner:
    """One thread that starts every server and lives as long as the process.

    The parent-death signal fires when the *thread* that forked ends, not the process: a server restarted by a worker
    thread would die with that worker.
    """

    def __init__(self) -> None:
        self.pid = os.getpid()
        self._jobs: queue.SimpleQueue[tuple[Callable[[], Any], Future[Any]]]
        self._jobs = queue.SimpleQueue()
        threading.Thread(target=self._work, name="lab-spawner", daemon=True).start()

    def submit(self, start: Callable[[], T]) -> T:
        answer: Future[T] = Future()
        self._jobs.put((start, answer))
        return answer.result()

    def _work(self) -> None:
        while True:
            start, answer = self._jobs.get()
            try:
                answer.set_result(start())
            except BaseException as error:  # noqa: BLE001 - it is raised where the answer is awaited
                answer.set_exception(error)
            del start, answer  # a kept result would keep a finished Popen


_spawner_lock = threading.Lock()
_current: _Spawner | None = None


def _spawner() -> _Spawner:
    global _current  # noqa: PLW0603 - one thread per process is the point
    with _spawner_lock:
        if _current is None or _current.pid != os.getpid():  # a fork copies the object, not its thread
            _current = _Spawner()
        return _current
