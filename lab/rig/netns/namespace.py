"""A network namespace of the lab's own, with nothing in it but a private loopback, made by any user without any tool.

The whole lab moves into it, before it starts its first thread: servers, subjects, guardian and the lab's own
connections are then inside because they are its children, and all that was written for loopback works unchanged. (A
holder process and `setns` would save the move, but an ordinary user's process may join a user namespace only while it
has a single thread, which a running lab never has.) An ordinary user needs a user namespace around it, in which he
keeps his uid and the lab process, but none that it starts, has the capabilities that faults need. Root needs none.

The namespace goes with its last process. There is no way out of it: whatever wants the internet has to come first.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lab.errors import BadInput, ToolMissing

LINK = "lo"
CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1
INTERFACE = struct.Struct("16sh14x")
ANSWER_PROBES = Path("/proc/sys/net/ipv4/tcp_invalid_ratelimit")
"""Milliseconds for which a connection answers no second probe (500): in our namespace it answers all, at once."""

_libc = ctypes.CDLL(None, use_errno=True)
_entered: tuple[int, int] | None = None


def enter() -> None:
    """Move this process, which must have a single thread, into a namespace of its own. No-op when that was done.

    Raises `ToolMissing` where the machine refuses, `BadInput` when threads run already.
    """
    global _entered  # noqa: PLW0603 - a process is in one place
    if entered():
        return
    if threads() > 1:
        raise BadInput("the network namespace must be entered before any thread starts", "run `lab … --rig netns`")
    try:
        _unshare()
        set_link(up=True)
    except OSError as error:
        raise _refused(error) from error
    with suppress(OSError):  # a kernel that has no such switch for us is a little slower to show a loss
        ANSWER_PROBES.write_text("0", encoding="ascii")
    _entered = _namespace()


def entered() -> bool:
    """Whether this process is in a namespace that `enter` made."""
    return _entered is not None and _entered == _namespace()


def threads() -> int:
    """How many threads this process has, by the kernel's count."""
    return len(os.listdir("/proc/self/task"))


def link_is_up(name: str = LINK) -> bool:
    """Whether an interface is up."""
    return bool(_flags(name) & IFF_UP)


def set_link(*, up: bool) -> None:
    """Take the loopback down or up: all its connections are silent while it is down, and live on afterwards."""
    flags = _flags(LINK)
    with _any_socket() as control:
        wanted = flags | IFF_UP if up else flags & ~IFF_UP
        fcntl.ioctl(control, SIOCSIFFLAGS, INTERFACE.pack(LINK.encode(), wanted))


def others_up() -> tuple[str, ...]:
    """The interfaces that are up beside the loopback: in a private namespace there are none."""
    names = (name for _, name in socket.if_nameindex())
    return tuple(name for name in names if name != LINK and link_is_up(name))


@contextmanager
def link_down() -> Iterator[None]:
    """The loopback is down for the length of the block. Refuses to touch one that is not the lab's own."""
    if not entered():
        raise BadInput("this loopback is the machine's, not the lab's", "use --rig netns")
    set_link(up=False)
    try:
        yield
    finally:
        set_link(up=True)


def _unshare() -> None:
    uid, gid = os.geteuid(), os.getegid()
    if uid == 0:
        _call_unshare(CLONE_NEWNET)
        return
    _call_unshare(CLONE_NEWUSER | CLONE_NEWNET)
    # One user: PostgreSQL refuses to run as uid 0, and files keep their owner.
    Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
    Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1", encoding="ascii")
    Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1", encoding="ascii")


def _call_unshare(flags: int) -> None:
    if _libc.unshare(flags):
        code = ctypes.get_errno()
        raise OSError(code, f"unshare: {os.strerror(code)}")


def _flags(name: str) -> int:
    with _any_socket() as control:
        answer = fcntl.ioctl(control, SIOCGIFFLAGS, INTERFACE.pack(name.encode(), 0))
    return int(INTERFACE.unpack(answer)[1])


def _any_socket() -> socket.socket:
    return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)


def _namespace() -> tuple[int, int]:
    found = os.stat("/proc/self/ns/net")
    return found.st_dev, found.st_ino


# -- why not ---------------------------------------------------------------------------------------------------------

REMEDY = "use --rig docker, or a machine or container that lets its users make namespaces"

_SYSCTLS = (
    ("kernel/unprivileged_userns_clone", "0", "1"),
    ("user/max_user_namespaces", "0", "15000"),
    ("user/max_net_namespaces", "0", "15000"),
    ("kernel/apparmor_restrict_unprivileged_userns", "1", "0"),
)
"""Switches of distributions: below /proc/sys, the value that forbids, one that allows."""


def _refused(error: OSError) -> ToolMissing:
    said = error.strerror or str(error)
    for path, forbids, allows in _SYSCTLS:
        name = path.replace("/", ".")
        if (os.geteuid() or "net_n" in path) and _read(Path("/proc/sys") / path) == forbids:
            remedy = f"as root: sysctl {name}={allows}; or run the lab as root"
            return ToolMissing(f"no network namespace: this system forbids it ({name}={forbids}, {said})", remedy)
    if _in_chroot():
        return ToolMissing(f"no network namespace: we are in a chroot ({said})", "run the lab outside, or as root")
    if "Seccomp:\t2" in (_read(Path("/proc/self/status")) or ""):
        remedy = "run the container with --security-opt seccomp=unconfined --cap-add SYS_ADMIN, or use --rig docker"
        return ToolMissing(f"no network namespace: a container's filter refuses it ({said})", remedy)
    if error.errno == errno.ENOSYS:
        return ToolMissing(f"no network namespace: this kernel has none ({said})", REMEDY)
    return ToolMissing(f"no network namespace: {said}", REMEDY)


def _in_chroot() -> bool:
    """Whether our root folder is no mount: then the kernel lets nobody make a user namespace."""
    mounts = _read(Path("/proc/self/mountinfo")) or ""
    return bool(mounts) and not any(line.split()[4] == "/" for line in mounts.splitlines())


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return None
