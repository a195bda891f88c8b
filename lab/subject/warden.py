"""Starts the subject and holds its connections in the kernel: it reaches the lab's own servers and nothing else.

    python -I -S warden.py '{"argv": […], "control": FD, "pass": [FD…]}'

A program of its own, of the standard library alone: the parent of the subject's zygote. It lays a seccomp filter on
itself whose notifications it reads, then starts the zygote, which inherits the filter with all that it forks and
executes (libpq, ctypes, psql, a pool's worker) and cannot take it off. A connect() waits in the kernel until the warden
has looked at its address, which costs 0.1 ms. send() and recv() pass unseen; sendto() with an address, sendmsg() and
sendmmsg() are looked at; io_uring, which could connect without a system call, is not there.

`control` is a SOCK_SEQPACKET pair with the lab. From it come `{"allow": [[host, port]…]}` and `{"forbid": …}`; to it
go `{"held": "" or why it cannot be held here}`, `{"wanted": address, …}` for each connection that was refused, and
`{"failed": why}` when the interpreter does not start. At its end the subject is killed.

The address is read from the caller's memory, and the kernel reads it again when it goes on: a program that changes it
in between, on another thread, on purpose, gets past. This holds mistakes, not malware; the netns rig has no way out.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import ipaddress
import json
import os
import platform
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

LONGEST_MESSAGE = 1 << 16
PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS = 1, 38
SET_MODE_FILTER, NEW_LISTENER, SPEC_ALLOW = 1, 1 << 3, 1 << 2
NOTIFY, REFUSE, ALLOW = 0x7FC00000, 0x00050000, 0x7FFF0000
RECEIVE, SEND, IS_VALID, CONTINUE = 0xC0502100, 0xC0182101, 0x40082102, 1
NOTIFICATION = struct.Struct("=QIIiIQ6Q")  # id, thread, flags; number, arch, instruction, arguments
ANSWER = struct.Struct("=QqiI")

CALLS = {
    "x86_64": (0xC000003E, {"connect": 42, "sendto": 44, "sendmsg": 46, "sendmmsg": 307}, 317, 234),
    "aarch64": (0xC00000B7, {"connect": 203, "sendto": 206, "sendmsg": 211, "sendmmsg": 269}, 277, 131),
}
"""Of each machine: its audit number, the calls that take an address, seccomp() and tgkill()."""

IO_URING_SETUP = 425
X32 = 0x40000000

STACK = int(signal.SIGRTMIN) + 9
"""The signal on which the subject's faulthandler writes where a thread is, into the file that both have open."""

STACK_DEADLINE = 0.5
"""Seconds for a thread that was asked where it is; another one that is refused meanwhile tells less."""
PARENT_DEADLINE = 3.0
"""Seconds for the process that has started the one that is refused: on a busy machine it is late, not gone."""
STACK_WRITTEN = 0.25
"""Seconds without another line after which such a process has written all: one that is preempted has not."""
LONGEST_STACK = 6000
MSGHDR, MMSGHDR = struct.Struct("=QI"), 64
SOCKET_TYPES = {socket.SOCK_STREAM: "tcp", socket.SOCK_DGRAM: "udp"}
DNS = 53
UNREADABLE = -1
"""The family of an address that cannot be read."""

FACILITIES = {
    **dict.fromkeys(("/var/run/nscd/", "/run/nscd/"), "the C library's cache of users and hosts"),
    "/var/lib/sss/": "sssd's users",
    "/run/systemd/": "systemd's users, hosts and journal",
    **dict.fromkeys(("/run/avahi-daemon/", "/var/run/avahi-daemon/"), "avahi's hosts"),
    **dict.fromkeys(("/run/dbus/", "/var/run/dbus/"), "D-Bus"),
    "/dev/log": "the system's log",
}
"""Unix sockets of the machine itself that libraries try and do without; refused, but no reason to end a check."""

NAME_SERVICE = "libnss_"
"""Begins the name of each library by which glibc looks up users and hosts: whatever socket one asks for, it does
without."""
RETURN_WORDS = 16
"""Words from the top of a stack among which the return address of connect() is sought: connect() has few."""

SIGNALLED = 128
"""Added to the number of the signal that ended the subject, as a shell does."""

PLACEHOLDER = ("127.0.0.1", 1)
"""What stands in a project's DATABASES until a plan has a server. The zygote that asks for it finds that down: an app
may look into its database while it loads, and do without."""

Start = Callable[[int, Callable[[], None]], int]
"""Starts a zygote and gives its pid, or raises OSError. It gets the descriptor for stacks, and what a fork has
to call before it runs anything."""

_libc = ctypes.CDLL(None, use_errno=True)


class Warden:
    """One subject's: what it may reach, and the loop that answers for the kernel."""

    def __init__(self, control: socket.socket, stack: int) -> None:
        self._control = control
        self._stack = stack
        self._allowed: dict[tuple[str, int], int] = {}
        self._asked, self._asked_at = 0, 0.0  # the thread that was sent the signal, whose next try is refused
        self._untold: dict[str, Any] = {}
        self._named: set[str] = set()
        self._told = False  # of the first refusal the stack is of interest: it ends the check
        self._zygote = 0
        self._readable = True

    def run(self, start: Start, keep: list[int]) -> int:
        """Hold this process, start the zygote, answer until one of both ends has gone; the exit status.

        What is in `keep` is the zygote's alone afterwards.
        """
        try:
            listener, why = _hold(), ""
        except OSError as error:
            listener, why = -1, f"{error.strerror} ({platform.machine()}, Linux {platform.release()})"
        try:
            pid = start(self._stack, lambda: self._let_go(listener))
        except OSError as error:
            self._tell(failed=error.strerror or str(error))
            return 1
        for descriptor in keep:
            os.close(descriptor)
        self._zygote = pid
        try:
            os.close(os.open(f"/proc/{pid}/mem", os.O_RDONLY))
        except OSError as error:
            why, self._readable = why or f"its memory cannot be read: {error.strerror}", False
        self._tell(held=why)
        ended = os.pidfd_open(pid)
        poll = select.poll()
        for descriptor in (self._control.fileno(), ended, *([listener] if listener >= 0 else [])):
            poll.register(descriptor, select.POLLIN)
        while True:
            ready = {descriptor for descriptor, _ in poll.poll(100 if self._untold and not self._told else None)}
            self._tell_late()
            if self._control.fileno() in ready and not self._heard():
                os.kill(pid, signal.SIGKILL)  # not yet reaped, it is still the zygote's number
            if listener in ready:
                self._look(listener)
            if ended in ready:
                status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                return SIGNALLED - status if status < 0 else status

    def _let_go(self, listener: int) -> None:
        """In a zygote that was forked: what is the warden's alone is not its."""
        os.close(self._control.detach())
        if listener >= 0:
            os.close(listener)

    def _tell(self, **message: Any) -> None:
        with contextlib.suppress(OSError):  # the lab has gone, and with it everything
            self._control.send(json.dumps(message).encode())

    def _heard(self) -> bool:
        """Take in all that the lab has said; False when it has gone."""
        while select.select([self._control], [], [], 0)[0]:
            data = self._control.recv(LONGEST_MESSAGE)
            if not data:
                return False
            message = json.loads(data)
            for sign, places in ((1, message.get("allow", ())), (-1, message.get("forbid", ()))):
                for host, port in places:
                    place = (host, int(port))
                    self._allowed[place] = self._allowed.get(place, 0) + sign
        return True

    # -- one notification ---------------------------------------------------------------------------------------------

    def _look(self, listener: int) -> None:
        """Take one call that waits in the kernel, and let it go on or refuse it."""
        notification = bytearray(NOTIFICATION.size)
        try:
            fcntl.ioctl(listener, RECEIVE, notification)
        except OSError:  # its thread was killed or interrupted meanwhile
            return
        identity, thread, _, number, _, _, *arguments = NOTIFICATION.unpack(notification)
        try:
            targets = _targets(thread, number, arguments)
        except PermissionError:  # it has hidden its memory: what cannot be looked at is not let go
            targets = [(UNREADABLE, ("an address that it hides", 0), 0)] if self._readable else []
        except (OSError, ValueError, struct.error):
            targets = []  # the kernel cannot read it either, or the thread has gone
        self._heard()
        refused = next((each for each in targets if not self._may(thread, *each)), None)
        if refused is None:
            _answer(listener, ANSWER.pack(identity, 0, 0, CONTINUE))
            return
        if _has_gone(listener, identity):  # its process was ended, and then the lab took back what it may reach
            return
        family, place, descriptor = refused
        connects = number == _call("connect")
        kind = "unix" if family == socket.AF_UNIX else _type(thread, descriptor) if connects else "udp"
        early = place == PLACEHOLDER and _tgid(thread) == self._zygote
        facility = _facility(thread, place[0]) if kind == "unix" else ""
        fatal = not early and not facility and self._is_fatal(place, kind, connects=connects)
        if fatal and self._ask_where(thread):
            return  # the signal makes the call begin again
        if not (fatal and self._told):
            self._report(thread, {**self._message(thread, place, kind, fatal=fatal), "facility": facility})
        code = errno.ECONNREFUSED if early else errno.ENETUNREACH if kind == "udp" else errno.EACCES
        _answer(listener, ANSWER.pack(identity, 0, -code, 0))

    def _may(self, thread: int, family: int, place: tuple[str, int], _: int) -> bool:
        """Whether a connection may go there: nowhere, to the kernel, to the lab, or to the subject's own listener."""
        if family in (socket.AF_UNSPEC, socket.AF_NETLINK):
            return True
        if family == socket.AF_UNIX and place[0].startswith(tuple(FACILITIES)):
            return False
        if family in (socket.AF_INET, socket.AF_INET6) and self._allowed.get(place, 0) > 0:
            return True
        return _listens(self._zygote, thread, family, place)

    def _ask_where(self, thread: int) -> bool:
        """Have the thread write where it is, when it can and this is the first refusal that ends the check.

        Only one is ever asked: two that interrupt each other's calls would never come to an end.
        """
        if self._told or self._asked:
            return False
        process = _tgid(thread)
        if not _catches(process):
            return False
        os.ftruncate(self._stack, 0)
        self._asked, self._asked_at = thread, time.monotonic()
        return bool(_libc.syscall(CALLS[platform.machine()][3], process, thread, STACK) == 0)

    @staticmethod
    def _is_fatal(place: tuple[str, int], kind: str, *, connects: bool) -> bool:
        """Whether a refusal ends the check: of a datagram socket that is only connected nothing leaves."""
        return kind in ("unix", "tcp") or place[1] == DNS or not connects

    def _message(self, thread: int, place: tuple[str, int], kind: str, *, fatal: bool) -> dict[str, Any]:
        process = _tgid(thread)
        host, port = place
        python = _catches(process)
        asked = fatal and (self._asked == thread or not python)
        return {
            "wanted": host if kind == "unix" or not port else f"[{host}]:{port}" if ":" in host else f"{host}:{port}",
            "kind": "dns" if port == DNS and kind != "unix" else kind,
            "fatal": fatal,
            "program": "" if python else _program(process),
            "stack": self._where(process) if asked else "",
        }

    def _report(self, thread: int, message: dict[str, Any]) -> None:
        """Tell the lab, or leave it to another thread that was asked where it is and tells more."""
        if message["fatal"] and self._asked not in (0, thread) and not message["stack"]:
            self._untold = self._untold or message
            return
        if message["wanted"] in self._named:
            return
        self._named.add(message["wanted"])
        self._told = self._told or message["fatal"]
        self._tell(**message)

    def _tell_late(self) -> None:
        """The thread that was asked has gone without an answer."""
        if self._untold and not self._told and time.monotonic() - self._asked_at > STACK_DEADLINE:
            self._told = True
            self._tell(**self._untold)

    def _where(self, process: int) -> str:
        """What the thread wrote; for a program that is no Python, where the one that started it is."""
        pause = 0.0
        if not _catches(process):
            while process > 1 and not _catches(process):
                process = _parent(process)
            if process <= 1:
                return ""
            os.ftruncate(self._stack, 0)
            os.kill(process, STACK)
            pause = STACK_WRITTEN
        until = time.monotonic() + PARENT_DEADLINE
        written = 0
        while time.monotonic() < until:
            # The other process writes it in a signal handler, line by line: there is no event to wait for.
            size = os.fstat(self._stack).st_size
            if size and (size == written or not pause):
                break
            written = size
            time.sleep(pause if size else 0.002)
        return os.pread(self._stack, LONGEST_STACK, 0).decode(errors="replace")


# -- the kernel -------------------------------------------------------------------------------------------------------


def _call(name: str) -> int:
    return CALLS[platform.machine()][1][name]


def _hold() -> int:
    """Lay the filter on this process; the descriptor on which it tells. Raises OSError."""
    if platform.machine() not in CALLS or sys.maxsize < 1 << 32:
        raise OSError(errno.ENOSYS, "no filter for this machine")
    arch, calls, seccomp, _ = CALLS[platform.machine()]
    looked_at = [calls[name] for name in ("connect", "sendmsg", "sendmmsg")]
    # (opcode, jump if true, jump if not, value), jumps by label; each label is the place of a final return.
    program: list[tuple[int, str, str, int]] = [
        (0x20, "", "", 4),
        (0x15, "", "refuse", arch),  # another instruction set has other numbers
        (0x20, "", "", 0),
        (0x35, "refuse", "", X32),
        *[(0x15, "notify", "", number) for number in looked_at],
        (0x15, "refuse", "", IO_URING_SETUP),
        (0x15, "", "allow", calls["sendto"]),
        (0x20, "", "", 16 + 4 * 8),  # its address: a pointer, in two halves
        (0x15, "", "notify", 0),
        (0x20, "", "", 16 + 4 * 8 + 4),
        (0x15, "", "notify", 0),
        (0x06, "", "", ALLOW),
        (0x06, "", "", NOTIFY),
        (0x06, "", "", REFUSE | errno.ENOSYS),
    ]
    labels = {"allow": len(program) - 3, "notify": len(program) - 2, "refuse": len(program) - 1}
    code = b"".join(
        struct.pack("=HBBI", opcode, *(labels[to] - place - 1 if to else 0 for to in (yes, no)), value)
        for place, (opcode, yes, no, value) in enumerate(program)
    )
    memory = ctypes.create_string_buffer(code, len(code))
    head = ctypes.create_string_buffer(struct.pack("HP", len(program), ctypes.addressof(memory)))
    if _libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    # SPEC_ALLOW: else some kernels slow the whole subject down, for a danger that a filter of ours does not have.
    listener: int = _libc.syscall(seccomp, SET_MODE_FILTER, NEW_LISTENER | SPEC_ALLOW, head)
    if listener < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return listener


def _answer(listener: int, answer: bytes) -> None:
    with contextlib.suppress(OSError):  # it was interrupted meanwhile, and asks again
        fcntl.ioctl(listener, SEND, bytearray(answer))


def _has_gone(listener: int, identity: int) -> bool:
    """Whether nobody waits for an answer any more; False on a kernel that does not know the question."""
    try:
        fcntl.ioctl(listener, IS_VALID, bytearray(struct.pack("=Q", identity)))
    except OSError as error:
        return error.errno == errno.ENOENT
    return False


Target = tuple[int, tuple[str, int], int]


def _targets(thread: int, number: int, arguments: list[int]) -> list[Target]:
    """The addresses that a call names, with their socket's descriptor."""
    descriptor = arguments[0]
    if number == _call("connect"):
        return _target(thread, arguments[1], arguments[2], descriptor)
    if number == _call("sendto"):
        return _target(thread, arguments[4], arguments[5], descriptor)
    messages = min(arguments[2] & 0xFFFFFFFF, 1024) if number == _call("sendmmsg") else 1
    found: list[Target] = []
    for place in range(messages):
        name, length = MSGHDR.unpack(_memory(thread, arguments[1] + place * MMSGHDR, MSGHDR.size))
        found += _target(thread, name, length, descriptor)
    return found


def _target(thread: int, pointer: int, length: int, descriptor: int) -> list[Target]:
    length &= 0xFFFFFFFF
    if not pointer or length < 2:
        return []
    raw = _memory(thread, pointer, min(length, 128))
    family = int(struct.unpack_from("=H", raw)[0])
    place = (f"address family {family}", 0)
    if family == socket.AF_INET:
        place = (str(ipaddress.ip_address(raw[4:8])), int.from_bytes(raw[2:4]))
    elif family == socket.AF_INET6:
        six = ipaddress.IPv6Address(raw[8:24])
        place = (str(six.ipv4_mapped or six), int.from_bytes(raw[2:4]))
    elif family == socket.AF_UNIX:
        path = raw[2:]
        place = ("@" + path[1:].decode(errors="replace") if path[:1] == b"\0" else _text(path), 0)
    return [(family, place, descriptor)]


def _text(raw: bytes) -> str:
    return raw.partition(b"\0")[0].decode(errors="replace")


def _memory(thread: int, pointer: int, length: int) -> bytes:
    descriptor = os.open(f"/proc/{thread}/mem", os.O_RDONLY)
    try:
        return os.pread(descriptor, length, pointer)
    finally:
        os.close(descriptor)


# -- who asks ---------------------------------------------------------------------------------------------------------


def _status(thread: int, field: str) -> str:
    with contextlib.suppress(OSError), open(f"/proc/{thread}/status", encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if line.startswith(field + ":"):
                return line.partition(":")[2].strip()
    return ""


def _tgid(thread: int) -> int:
    return int(_status(thread, "Tgid") or thread)


def _parent(process: int) -> int:
    return int(_status(process, "PPid") or 0)


def _catches(process: int) -> bool:
    """Whether it has a handler for the signal that asks where it is: a Python of the subject."""
    return bool(int(_status(process, "SigCgt") or "0", 16) & 1 << (STACK - 1))


def _program(process: int) -> str:
    with contextlib.suppress(OSError), open(f"/proc/{process}/cmdline", "rb") as file:
        return os.path.basename(_text(file.read()))
    return ""


def _facility(thread: int, path: str) -> str:
    """What of the machine's own a Unix socket is, where libraries try that one and do without; "" for any other."""
    library = _caller(thread)
    if library.startswith(NAME_SERVICE):
        return f"{library}, for users and hosts"
    return next((what for head, what in FACILITIES.items() if path.startswith(head)), "")


def _caller(thread: int) -> str:
    """The library whose code has called connect(), in which the thread waits; "" where that cannot be seen.

    The first place in code that its stack holds is where the call returns to. The C library's own code is no answer: it
    may have been asked (for a user's home, it asks nscd), or be a part of its own connect() (glibc from 2.41 on).
    """
    with contextlib.suppress(OSError, ValueError, IndexError), open(f"/proc/{thread}/syscall", encoding="ascii") as now:
        stack = _memory(thread, int(now.read().split()[-2], 16), 8 * RETURN_WORDS)
        code: list[tuple[int, int, str]] = []
        with open(f"/proc/{thread}/maps", encoding="utf-8", errors="replace") as maps:
            for line in maps:
                fields = line.split(maxsplit=5)
                if len(fields) == 6 and "x" in fields[1]:
                    first, last = (int(end, 16) for end in fields[0].split("-"))
                    code.append((first, last, os.path.basename(fields[5].strip())))
        for (place,) in struct.iter_unpack("=Q", stack):
            for first, last, library in code:
                if first <= place < last:
                    return library
    return ""


def _type(thread: int, descriptor: int) -> str:
    """Of the caller's socket: tcp or udp; what cannot be found out counts as tcp."""
    with contextlib.suppress(OSError):
        pidfd = os.pidfd_open(_tgid(thread))
        try:
            copy: int = _libc.syscall(438, pidfd, descriptor & 0xFFFFFFFF, 0)
        finally:
            os.close(pidfd)
        if copy >= 0:
            with socket.socket(fileno=copy) as found:
                return SOCKET_TYPES.get(found.type, "tcp")
    return "tcp"


def _listens(zygote: int, thread: int, family: int, place: tuple[str, int]) -> bool:
    """Whether it is a listener of the subject itself, as that of a thread which serves or of a manager process."""
    inodes = _unix_listeners(thread, place[0]) if family == socket.AF_UNIX else _tcp_listeners(thread, *place)
    if not inodes:
        return False
    for process in _family(zygote):
        with contextlib.suppress(OSError):
            for name in os.listdir(f"/proc/{process}/fd"):
                with contextlib.suppress(OSError):
                    if os.readlink(f"/proc/{process}/fd/{name}") in inodes:
                        return True
    return False


def _tcp_listeners(thread: int, host: str, port: int) -> set[str]:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return set()
    if not address.is_loopback:
        return set()
    found: set[str] = set()
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError), open(f"/proc/{thread}/net/{table}", encoding="ascii") as lines:
            for line in lines:
                fields = line.split()
                if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                    found.add(f"socket:[{fields[9]}]")
    return found


def _unix_listeners(thread: int, path: str) -> set[str]:
    found: set[str] = set()
    with contextlib.suppress(OSError), open(f"/proc/{thread}/net/unix", encoding="utf-8", errors="replace") as lines:
        for line in lines:
            fields = line.split(maxsplit=7)
            if len(fields) == 8 and fields[7].strip() == path:
                found.add(f"socket:[{fields[6]}]")
    return found


def _family(zygote: int) -> set[int]:
    """The zygote and its descendants."""
    parents = {int(name): _parent(int(name)) for name in os.listdir("/proc") if name.isdigit()}
    found = {zygote}
    while more := {process for process, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def guard(control: int, keep: list[int], start: Start) -> int:
    """Hold this process and what `start` starts, until that or the lab has ended; the exit status."""
    stack = os.memfd_create("stack", 0)
    fcntl.fcntl(stack, fcntl.F_SETFL, os.O_APPEND)
    os.set_inheritable(stack, True)
    return Warden(socket.socket(fileno=control), stack).run(start, keep)


def main() -> int:
    """Run as the head says."""
    told = json.loads(sys.argv[1])
    parent = os.getppid()
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        return 1

    def start(stack: int, _: Callable[[], None]) -> int:
        started = subprocess.Popen(
            [*told["argv"], str(stack)], pass_fds=[*told["pass"], stack], stdin=subprocess.DEVNULL
        )
        started.returncode = 0  # run() waits for it
        return started.pid

    return guard(told["control"], told["pass"], start)


if __name__ == "__main__":
    sys.exit(main())
