"""What a fault is: the first of the two plug points.

A fault is one small file below `faults/` with one class, registered by name::

    @fault("sever-fin", family="network")
    class SeverFin(Fault):
        '''Every connection of the plan ends with FIN.'''

        @contextmanager
        def strike(self, site: Site) -> Iterator[Seen]:
            before = site.sockets()
            site.link.cut()
            yield lambda: ...  # what was seen of it, or None as yet
            ...                # heal

It is a `with` block: entered when the nemesis injects it, left when it heals, on every path. What it yields is
asked until it reports a sighting or the deadline passes: a fault not seen to land makes the case void.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import ClassVar, Literal, NamedTuple, Protocol, TypeVar

import msgspec

from lab.errors import PlanInvalid
from lab.records.census import Session
from lab.records.plan import FaultSpec, Fork, Inject, Plan
from lab.records.words import DEFAULT_DELAY_MS, Direction, Sides, Way
from lab.registry import Registry

Family = Literal["network", "loss", "server", "client", "wire"]
"""The folders below `faults/`: each family has its own."""
StopMode = Literal["smart", "fast", "immediate"]


class Sighting(NamedTuple):
    """What was seen of a fault: evidence in words, and the sessions that it ended or cut off.

    A session of which only the server process is known is given as "PID@". `at_ns` is when it struck, by the monotonic
    clock, where that is known; -1: when it was seen.
    """

    evidence: str
    struck: tuple[str, ...] = ()
    at_ns: int = -1


class Missed(NamedTuple):
    """Why the fault could not strike. Where it is still so at the deadline, the promise is n/a.

    `final`: no later look will see anything else, so that nobody waits for the deadline.
    """

    evidence: str
    final: bool = False


Seen = Callable[[], "Sighting | Missed | None"]


NOTHING = Missed("nothing was there for the fault to strike: no session is kept, or no call waits", final=True)
"""What a look-out reports once it is known that there is nothing to be seen."""


def nothing() -> Missed:
    """The look-out of a fault that found nothing there to strike: it is never seen, and need not be waited for."""
    return NOTHING


class Socket(NamedTuple):
    """The client's end of one TCP connection to the plan's line: its local port and kernel state.

    CLOSE_WAIT and LAST_ACK: the other side ended it with FIN. FIN_WAIT1, FIN_WAIT2, CLOSING and TIME_WAIT: the client
    closed first. A socket that was reset is in no table.
    """

    port: int
    state: str


ConnectionState = Literal["open", "fin", "rst", "refused"]
"""How a connection stands: it is open, the other side has ended it with FIN or RST, or it was refused."""


class Knock(NamedTuple):
    """What came of a question put through the plan's line on a fresh connection.

    `seconds` until the first byte of the answer, or until the lab gave up; `bytes` of it that came; and its `end`.
    """

    seconds: float
    bytes: int
    end: ConnectionState

    @property
    def answered(self) -> bool:
        """Whether any of the answer came."""
        return self.bytes > 0

    @property
    def silent(self) -> bool:
        """Whether nothing came, neither an answer nor an end."""
        return not self.bytes and self.end == "open"


Leg = Literal["client", "server"]
"""Which part of the plan's line: between the client and its direct peer, or between the proxy and the server."""


class Lost(NamedTuple):
    """Of one connection: segments sent and not got in each direction, and those sent again, since it was opened."""

    to_server: int
    to_client: int
    retransmitted: int


class Net(Protocol):
    """The packets of the plan's line, below every proxy: what is dropped is neither acknowledged nor refused.

    Connections are named by the port that they come from. Only rigs that are capable of "loss" have one.
    """

    def connections(self, leg: Leg = "client") -> tuple[int, ...]:
        """The plan's established connections, the oldest first."""

    def drop(self, towards: Sides, leg: Leg = "client", ports: Collection[int] | None = None) -> None:
        """Drop what goes `towards` one end of these connections; None: of all, and of new ones on the client's leg."""

    def restore(self, leg: Leg = "client") -> None:
        """Let everything pass; connections that are left go on where they were. Idempotent."""

    def lost(self, leg: Leg = "client") -> dict[int, Lost]:
        """What was lost so far, by connection; never more than truly was."""

    def provoke(self, leg: Leg = "client") -> None:
        """Make both ends of each connection send something that no process sees."""

    def answers(self) -> bool | None:
        """Whether a fresh connection to the line is answered; None: it is refused."""

    def abort(self, port: int) -> bool:
        """Abort the client's end (ECONNABORTED there, RST at its peer); False when it is gone. Needs "abort"."""

    def link_down(self) -> None:
        """Take the rig's whole network down: silence on every connection. Needs "link"."""

    def link_up(self) -> None:
        """Take it up again. Idempotent."""

    def link_drops(self) -> int:
        """Packets that the network has refused to carry so far because it was down."""


class Link(Protocol):
    """The plan's own proxy. Toxics go in and are never taken out: healing makes the proxy anew (docs/toxiproxy.md)."""

    @property
    def armed(self) -> bool:
        """Whether connections end with RST."""

    def arm_reset(self) -> None:
        """From now on every close of a new connection is an RST; before the first connection only."""

    def cut(self) -> None:
        """End every connection, with FIN or, when armed, RST; the listener is back at once on the same port."""

    def refuse(self) -> None:
        """End every connection and refuse new ones."""

    def turn_away(self) -> None:
        """End every connection, and each new one as soon as it is there, until `accept`."""

    def accept(self) -> None:
        """Take connections again, with no toxic but those of `arm_reset`."""

    def add(self, kind: str, stream: Direction, **attributes: int) -> None:
        """Install a toxic under Toxiproxy's own name, unit as suffix, on connections that are there as well.

        Only while nothing is in flight on them (docs/toxiproxy.md), which the order of the steps provides.
        """

    def freeze(self) -> None:
        """Stop the proxy server's process: silence, nothing lost. It concerns every plan of the rig."""

    def thaw(self) -> None:
        """Let it run again."""


class Acted(NamedTuple):
    """The tap did what it was armed for.

    `pid` is the connection's server process, 0 before it has said so; `at_ns` is the monotonic clock.
    """

    moment: str
    way: Way
    where: str
    pid: int
    at_ns: int


class Wire(Protocol):
    """The tap in front of the plan's proxy: acts at moments of the PostgreSQL protocol (`lab list moments`)."""

    def arm(self, moment: str, way: Way, sides: Sides = "both", *, delay_ms: int = DEFAULT_DELAY_MS) -> None:
        """Act once when the moment comes; its occurrences are counted from now on."""

    def acts(self) -> tuple[Acted, ...]:
        """What was done so far."""

    def disarm(self) -> None:
        """Forget what has not been done yet."""

    def resume(self) -> None:
        """End all stalls: what was held back passes now."""

    def sever(self) -> None:
        """End, with FIN, the connections on which something was done and that are still there."""


Attempt = Literal["served", "refused", "cut", "unreachable"]
"""What came of trying to get a session: it answered; the password was refused; it ended when asked; there was none."""


class Server(Protocol):
    """The lab's own PostgreSQL server."""

    @property
    def restarts(self) -> int:
        """How often faults have stopped or crashed it: any other change of epoch has another cause."""

    def terminate(self, pid: int) -> bool:
        """`pg_terminate_backend`; False when there is no such process."""

    def signal(self, pid: int, signal: int) -> None:
        """Send a signal to a server process, after checking that it is a child of the lab's own postmaster."""

    def restart(self, mode: StopMode) -> bool:
        """Stop and start; returns when the server answers: False when it had to be killed instead."""

    def crash(self) -> None:
        """SIGKILL the postmaster, wait for its children to end, start again; returns when the server answers."""

    def fill(self) -> AbstractContextManager[int]:
        """Hold every connection slot that an ordinary role may have; yields their number."""

    def full(self) -> bool:
        """Whether an ordinary role is refused for want of a slot (53300)."""

    def setting(self, name: str, value: str) -> AbstractContextManager[None]:
        """A server setting by ALTER SYSTEM and reload, for every session; put back at the end."""

    def value(self, name: str) -> str:
        """A setting as a session of the server has it now."""

    def lock_out(self, user: str) -> AbstractContextManager[None]:
        """The role's password is another one for the length of the block; sessions that are there stay."""

    def rotate(self, user: str, password: str) -> None:
        """The role's password is that one until `put_back`; sessions that are there stay."""

    def put_back(self, *users: str) -> None:
        """These roles have the passwords again that they had before any `rotate`."""

    def throttle(self, cpu_percent: int) -> AbstractContextManager[None]:
        """Its processes share so much of one processor for the length of the block. Needs "limits"."""

    def throttled(self) -> int:
        """In how many periods the kernel has held the server back for that so far."""

    def exhaust_memory(self) -> None:
        """Let the kernel kill a session of the lab's for want of memory; returns when it answers. Needs "limits"."""

    def memory_kills(self) -> int:
        """How many of its processes the kernel has killed for want of memory so far."""

    def stopped(self, pid: int) -> bool:
        """Whether the kernel holds that process stopped."""

    def fatal_ends(self) -> int:
        """How many sessions the server has ended with a FATAL error of its own; a crash sets it back to 0."""

    def epoch(self) -> str:
        """`pg_postmaster_start_time()`: another value is another server run."""


Raises = Literal["exception", "base", "exit"]
"""What a signal handler raises: an Exception, what is only a BaseException, or SystemExit."""


class Subject(Protocol):
    """The process that runs the variant, from outside."""

    pid: int

    @property
    def pids(self) -> tuple[int, ...]:
        """Of the process and of those that it has forked."""

    @property
    def processes(self) -> dict[str, int]:
        """Their pids by name: "" is the process itself, `c0` what it has forked under that name."""

    @property
    def files(self) -> int:
        """How many files each has open beside its connections."""

    def give_password(self, aliases: Sequence[str], password: str) -> None:
        """Put a password into the settings of these aliases, in every process."""

    def put_forward(self, seconds: float) -> None:
        """Let so much time pass by the clocks of every process."""

    def interrupt(self, raises: Raises = "exception", process: str = "") -> None:
        """Send the signal whose handler raises in the present call of a process's main actor; "": the first one's."""

    def interrupted(self) -> int:
        """How often a handler has run inside a step."""

    def found_idle(self) -> int:
        """How often a handler has run between two steps."""

    def signal(self, number: int, process: str = "") -> bool:
        """Send a signal to the process, or to one that it has forked by that name; False when there is none."""

    def ended(self, process: str = "") -> bool:
        """Whether that process has ended."""

    def handles(self, number: int, process: str = "") -> bool:
        """Whether that process catches or ignores the signal, so that it ends when its own code says so, or never."""


class Site(Protocol):
    """All that a fault may touch or look at: one plan's line, the lab's own server, the subject's process."""

    @property
    def link(self) -> Link: ...
    @property
    def server(self) -> Server: ...
    @property
    def subject(self) -> Subject: ...
    @property
    def net(self) -> Net: ...
    @property
    def wire(self) -> Wire: ...

    @property
    def users(self) -> tuple[str, ...]:
        """The roles that this plan's sessions log in as."""

    def attempt(self, user: str, password: str = "") -> Attempt:
        """Try to get a session as that role through the line, with the subject's or that password, and to use it."""

    def password(self, user: str) -> str:
        """What the subject's settings have for that role now."""

    def give(self, user: str, password: str) -> None:
        """Put another password into the subject's settings; it is there before the subject's next step begins."""

    def greeting(self) -> int:
        """How many bytes the server sends through the line until a new session is ready."""

    def sessions(self) -> tuple[Session, ...]:
        """The census of this plan's sessions now."""

    def lost(self) -> int:
        """How many sessions in this plan's databases have ended so far without a word of their client.

        Other plans' sessions there count, too: that it has not grown says that none was lost.
        """

    def sockets(self, among: Collection[int] | None = None) -> tuple[Socket, ...]:
        """The subject's sockets to this plan's line, also those that have ended and that the kernel still remembers.

        `among`: only those with these ports of their own, which an earlier look at all has shown; that costs less.
        """

    def established(self) -> set[int]:
        """Of these the ones that neither side has ended, by the ports that `among` takes. That costs less."""

    def witness(self) -> AbstractContextManager[Callable[[], ConnectionState]]:
        """A connection of the lab's own through the line; yields the way to ask how it ended; `open`: not yet."""

    def knock(self, timeout: float, size: int = 8) -> Knock:
        """Ask through the line on a fresh connection and wait at most `timeout` seconds.

        Eight bytes are answered with one and the connection is left open; a longer question, at most 9,000 bytes, is
        answered with some bytes more than it had, and then the server ends the connection. No session is made.
        """


class Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of all faults: its fields are the parameters that a plan may give, with their defaults.

    `exclusive` faults concern every session of the server or the proxy server: such a plan runs alone.
    `lasting` faults go on until they are healed; others are over once they have struck.
    `heal_cuts`: ending it ends the plan's connections too (a proxy is made anew, never relieved of a toxic).
    `lazy` faults are seen only when the subject meets them, so the run does not wait for that when they are injected.
    `waits` faults make a variant without timeouts wait for them until it is killed: such plans run side by side.
    `connecting` faults are met by an attempt to connect: a step does not count as waiting before one has met it.
    `fatal` faults may end the subject's process: a plan says which one, and no search draws them.
    `beside` faults pass the plan's line by: they leave its connections alone, and nothing is judged by how many it has
    taken. A plan that has no others needs no proxy.
    `needs` names what a rig must be capable of.
    """

    kind: ClassVar[str] = ""
    family: ClassVar[Family] = "network"
    exclusive: ClassVar[bool] = False
    lasting: ClassVar[bool] = False
    heal_cuts: ClassVar[bool] = False
    lazy: ClassVar[bool] = False
    waits: ClassVar[bool] = False
    connecting: ClassVar[bool] = False
    fatal: ClassVar[bool] = False
    beside: ClassVar[bool] = False
    needs: ClassVar[frozenset[str]] = frozenset()

    @property
    def ends_with(self) -> int | None:
        """The exit status of a process that it ends, negative for a signal; None: it ends none."""
        return None

    @property
    def keeps_sessions(self) -> bool:
        """Whether a session may outlive its client's connection while this fault is on.

        A fault on the line may hide the disconnect from the server, one that `waits` may block the session, and a
        killed process may leave one that runs a statement.
        """
        return self.waits or self.fatal or not self.beside

    def prepare(self, site: Site) -> None:
        """What must be in place before the subject's first connection; nothing by default."""

    def strike(self, site: Site) -> AbstractContextManager[Seen]:
        """Apply on entry, heal on exit; yields the look-out for what it did."""
        raise NotImplementedError


FAULTS: Registry[type[Fault]] = Registry("fault", "faults")
F = TypeVar("F", bound=type[Fault])


def fault(
    kind: str,
    *,
    family: Family,
    exclusive: bool = False,
    lasting: bool = False,
    heal_cuts: bool = False,
    lazy: bool = False,
    waits: bool = False,
    connecting: bool = False,
    fatal: bool = False,
    beside: bool = False,
    needs: Iterable[str] = (),
) -> Callable[[F], F]:
    """Register a fault class under `kind`."""

    def register(cls: F) -> F:
        cls.kind, cls.family, cls.exclusive = kind, family, exclusive
        cls.lasting, cls.heal_cuts, cls.lazy, cls.waits = lasting, heal_cuts, lazy, waits
        cls.connecting, cls.fatal, cls.beside, cls.needs = connecting, fatal, beside, frozenset(needs)
        FAULTS.add(kind, cls)
        return cls

    return register


def build(spec: FaultSpec) -> Fault:
    """The fault that a plan asks for; raises UnknownName, or PlanInvalid for parameters that it does not take."""
    cls = FAULTS.get(spec.kind)
    try:
        return msgspec.convert(spec.params, cls)
    except msgspec.ValidationError as error:
        raise PlanInvalid(
            f"fault {spec.kind!r} does not take these parameters: {error}", "see `lab list faults`"
        ) from None


def spares_the_line(plan: Plan) -> bool:
    """Whether nothing in the plan strikes its line, or asks how many connections that has taken.

    A fault that is meant for one alias wants lines that can be told apart, so that plan is none of these. Nor is one in
    which a process forks: by the connections fork-safe tells a session that has just ended from one that is just made.
    """
    if any(isinstance(step, Fork) for step in plan.steps):
        return False
    struck = [step for step in plan.steps if isinstance(step, Inject)]
    return all(FAULTS.get(each.fault.kind).beside and not each.alias for each in struck)


def needs(plan: Plan) -> frozenset[str]:
    """What a rig must be capable of to run this plan; raises UnknownName for a fault that does not exist."""
    return frozenset().union(*(FAULTS.get(spec.kind).needs for spec in plan.faults()))
