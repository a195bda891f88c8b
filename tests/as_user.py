"""Run a program as another user: `python as_user.py UID FOLDER... -- PROGRAM ARGUMENT...`, as root.

The user may pass to the folders, and read what is in them, also where they lie behind a door that is shut for others,
as a checkout below /root or in a `mktemp -d` does: in a mount namespace of its own, with which that ends.
"""

from __future__ import annotations

import ctypes
import os
import stat
import sys
from pathlib import Path

CLONE_NEWNS = 0x20000
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 0x40000
OPEN = 0o005

_libc = ctypes.CDLL(None, use_errno=True)


def main(arguments: list[str]) -> None:
    """Open the doors, become the user, become the program."""
    cut = arguments.index("--")
    uid, folders = int(arguments[0]), [Path(each) for each in arguments[1:cut]]
    doors = {door: None for folder in folders for door in (*reversed(folder.parents), folder)}
    here = Path.cwd()
    if not all(map(is_open, doors)):
        _call(_libc.unshare(CLONE_NEWNS))
        _mount("none", "/", "", MS_REC | MS_PRIVATE)
        for door in doors:
            if not is_open(door):
                open_door(door)
        os.chdir(here)  # as one comes to it now
    os.setgroups([])
    os.setgid(uid)
    os.setuid(uid)
    os.execvp(arguments[cut + 1], arguments[cut + 1 :])


def is_open(folder: Path) -> bool:
    """Whether everybody may list it and pass through it."""
    return stat.S_IMODE(folder.stat().st_mode) & OPEN == OPEN


def open_door(folder: Path) -> None:
    """Lay an open folder over a shut one, with the same things in it, each as open or shut as it was."""
    inside = {entry.name: os.open(entry.path, os.O_PATH | os.O_NOFOLLOW) for entry in os.scandir(folder)}
    _mount("tmpfs", str(folder), "tmpfs", 0, "mode=755")
    for name, descriptor in inside.items():
        place, kind = folder / name, os.fstat(descriptor).st_mode
        if stat.S_ISLNK(kind):
            place.symlink_to(os.readlink("", dir_fd=descriptor))
        else:
            place.mkdir() if stat.S_ISDIR(kind) else place.touch()
            _mount(f"/proc/self/fd/{descriptor}", str(place), "", MS_BIND | MS_REC)
        os.close(descriptor)


def _mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    texts = [text.encode() for text in (source, target, kind)]
    _call(_libc.mount(*texts, ctypes.c_ulong(flags), data.encode()))


def _call(result: int) -> None:
    if result:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


if __name__ == "__main__":
    main(sys.argv[1:])
