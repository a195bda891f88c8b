"""The one folder that outlives a lab: built servers and the database template.

Everything in it is published by a rename, so that a reader sees a whole thing or nothing, and is built under a
file lock, so that several labs started at once build it once.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lab.errors import ServerNotReady, ToolMissing

LOCK_TIMEOUT = 300.0
"""Seconds to wait for another lab's build; a cold Toxiproxy build took up to 76 s."""

LOCK_INTERVAL = 0.02
UNUSED_DAYS = 30.0


def folder() -> Path:
    """Return `$XDG_CACHE_HOME/connection-lab` (default `~/.cache/connection-lab`), mode 0700, made when absent.

    Raises `ToolMissing` when it cannot be made or written.
    """
    path = _location()
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(path, error.strerror or str(error)) from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise _unwritable(path, "permission denied")
    return path


def publish(key: str, build: Callable[[Path], None], owner: str | None = None) -> Path:
    """Return the cached folder `key`; when absent, let `build(stage)` fill an empty folder and rename it there.

    `owner` names the builder (a lab's id), so that its guardian can remove a half-built stage; default: this pid.
    Whatever `build` raises is passed on and nothing is published. Safe across threads, processes and labs.
    """
    target = folder() / key
    if not target.is_dir():
        with locked(key):
            if not target.is_dir():
                _remove_stale_stages(key)
                _build(target, build, stages(owner or f"pid-{os.getpid()}") / key)
    return used(key)


def prune(prefix: str, days: float = UNUSED_DAYS, most: int | None = None) -> None:
    """Remove what is called `prefix…` and was not used for so many days, and of the rest all but the `most` last used.

    That is another checkout's, an older recipe's, or what was wanted once.
    """
    oldest = time.time() - days * 86_400
    there = sorted((each for each in folder().glob(f"{prefix}*") if each.is_dir()), key=_used, reverse=True)
    for place, stale in enumerate(there):
        if _used(stale) < oldest or (most is not None and place >= most):
            with locked(stale.name):
                _remove(stale)
            stale.with_name(f"{stale.name}.lock").unlink(missing_ok=True)


def used(key: str) -> Path:
    """The cached folder `key`, which is used now: `prune` goes by that."""
    target = folder() / key
    os.utime(target)
    return target


def stages(owner: str) -> Path:
    """Where `owner` builds things: the folder that its guardian removes. Not created here."""
    return folder() / "stage" / owner


@contextmanager
def locked(key: str, timeout: float = LOCK_TIMEOUT) -> Iterator[None]:
    """Hold the machine-wide lock `key` (of this cache folder); `ServerNotReady` after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    with (folder() / f"{key}.lock").open("a", encoding="ascii") as file:
        while not _try_lock(file.fileno()):
            if time.monotonic() > deadline:
                raise ServerNotReady(f"another lab has held {file.name} for {timeout:.0f} s", "end it, or wait")
            time.sleep(LOCK_INTERVAL)
        yield  # closing the file releases the lock, and so does the kernel when this process is killed


def _used(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0  # another lab has removed it


def _remove(path: Path) -> None:
    """By a rename first: half of it must not stand there for the whole when this process is killed."""
    away = stages(f"pid-{os.getpid()}") / path.name
    away.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(OSError):
        path.rename(away)
    shutil.rmtree(away, ignore_errors=True)
    with suppress(OSError):  # this process builds something else at the same time
        away.parent.rmdir()


def _location() -> Path:
    configured = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG specification: a relative path there is invalid and is to be ignored.
    base = Path(configured) if Path(configured).is_absolute() else _home() / ".cache"
    return base / "connection-lab"


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError as error:
        raise ToolMissing("this user has no home folder", "set HOME, or XDG_CACHE_HOME") from error


def _unwritable(path: Path, reason: str) -> ToolMissing:
    return ToolMissing(f"the cache folder {path} cannot be written ({reason})", "set XDG_CACHE_HOME to one that can")


def _try_lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _remove_stale_stages(key: str) -> None:
    # We hold the lock of `key`: whoever staged it before us was killed.
    for stale in (folder() / "stage").glob(f"*/{key}"):
        shutil.rmtree(stale, ignore_errors=True)
        with suppress(OSError):  # it staged something else, too
            stale.parent.rmdir()


def _build(target: Path, build: Callable[[Path], None], stage: Path) -> None:
    stage.mkdir(mode=0o700, parents=True)
    try:
        build(stage)
        stage.rename(target)
    finally:
        shutil.rmtree(stage, ignore_errors=True)
        with suppress(OSError):  # this owner builds something else at the same time
            stage.parent.rmdir()
