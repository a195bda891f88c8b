"""The transactions that an application meant: which writes belong together, and what it was told of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, NamedTuple

from lab.judging.calls import FOREVER, Call
from lab.records.plan import Leave, Sql

HOOKS = ("on-commit", "on-commit-query", "on-commit-block")
"""Ways of use that register a hook."""
STREAM_LEFT: Final = "stream-left"
"""The way of use in which the driver swallows the error of the statement that it cancels."""


@dataclass
class Token:
    """One write, or one hook: its call, and whether the application rolled back the savepoint that it was made in."""

    call: Call
    name: str
    undone: bool = False


@dataclass
class Unit:
    """Writes that the application meant to belong together.

    `outcome`: `acked` (told that it is done), `aborted` (rolled back, left with an error, or never left), `doubt`
    (committing it raised), `closed` (closed with autocommit off and work pending), `open` (nothing was asked for).
    `kind`: `autocommit`, `atomic`, `manual` (autocommit off) or `by hand` (after a BEGIN of the application's own).
    `closed_inside`: close() came inside a block. `swallowed`: an error came before the end, and the application went
    on; or psycopg may have swallowed one, where a stream was left early. `doomed`: an inner block without a savepoint
    was rolled back. `vague`: the application cannot know what holds.
    """

    actor: str
    kind: str
    alias: str
    tokens: list[Token] = field(default_factory=list)
    hooks: list[Token] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    outcome: str = "open"
    closer: Call | None = None
    closed_inside: bool = False
    swallowed: bool = False
    doomed: bool = False
    vague: bool = False

    @property
    def written(self) -> list[Token]:
        """The tokens whose statement returned."""
        return [token for token in self.tokens if token.call.ending == "ok"]

    @property
    def begin(self) -> int:
        """When its first call began."""
        return self.calls[0].begin if self.calls else 0

    @property
    def end(self) -> int:
        """When it was decided."""
        return self.closer.end if self.closer else FOREVER


def read_units(calls: list[Call], run: str, *, manual: bool) -> list[Unit]:
    """All transactions of these calls, actor by actor. `run` begins the names of tokens; `manual`: autocommit is off
    from the start.
    """
    by_actor: dict[str, list[Call]] = {}
    for call in calls:
        by_actor.setdefault(call.actor, []).append(call)
    return [unit for own in by_actor.values() for unit in _Actor(run, manual).read(own)]


class _Actor:
    """Reads one actor's calls as transactions: each alias has its own, an error that leaves the view ends them all."""

    def __init__(self, run: str, manual: bool) -> None:
        self._run = run
        self._manual = manual
        self._aliases: dict[str, _Units] = {}
        self._blocks: list[str] = []  # the aliases of the open atomic blocks, the innermost last

    def read(self, calls: list[Call]) -> list[Unit]:
        """The units in the order of the aliases' first use."""
        for call in calls:
            if call.ending != "skip":
                self._take(call)
        return [unit for alias in self._aliases.values() for unit in alias.found]

    def _take(self, call: Call) -> None:
        if call.f in ("begin", "end", "finish", "stop"):
            for each in self._aliases.values():
                each.take(call)
            self._blocks = [] if call.ends_blocks else self._blocks
            return
        inner = self._blocks.pop() if call.f == "leave" and self._blocks else ""
        alias = inner or call.alias
        if alias not in self._aliases:
            self._aliases[alias] = _Units(call.actor, alias, self._run, self._manual)
        self._aliases[alias].take(call)
        if call.f == "enter" and not call.failed:
            self._blocks.append(alias)
        if call.ends_blocks:
            self._blocks = []
            for each in self._aliases.values():
                each.view_ends(call)


class _Mark(NamedTuple):
    """The start of a block: the tokens and hooks before it, whether it is a savepoint, whether an error came before."""

    since: int
    hooks: int
    savepoint: bool
    erred: bool


class _Units:
    """What one actor does through one alias, as transactions."""

    def __init__(self, actor: str, alias: str, run: str, manual: bool) -> None:
        self.found: list[Unit] = []
        self._actor = actor
        self._alias = alias
        self._run = run
        self._default_manual = manual
        self._manual = manual  # autocommit is off
        self._by_hand = False  # the application sent BEGIN itself, and with it took charge
        self._asked = 0  # the depth of the block for which set_rollback(True) was called
        self._unit: Unit | None = None  # the open transaction
        self._marks: list[_Mark] = []  # of the open blocks

    def take(self, call: Call) -> None:
        """The actor's next call."""
        getattr(self, f"_on_{call.f}", self._on_other)(call)

    def view_ends(self, call: Call) -> None:
        """An error left the view, and with it all blocks: the application committed nothing of them."""
        if self._marks and self._unit is not None:
            if self._unit.kind == "atomic":
                self._decide("aborted", call)
            else:
                self._unit.vague = True  # Django does not say how much of the pending work is lost
        self._marks = []

    def _new(self, kind: str) -> Unit:
        self.found.append(Unit(self._actor, kind, self._alias))
        return self.found[-1]

    def _decide(self, outcome: str, call: Call) -> None:
        unit = self._unit
        if unit is None:
            return
        if call not in unit.calls:
            unit.calls.append(call)
        told = outcome == "closed" and unit.swallowed
        unit.outcome = "doubt" if told or unit.vague else outcome
        unit.closer = call
        self._unit = None

    def _on_other(self, call: Call) -> None:
        if self._unit is not None:
            self._unit.calls.append(call)
            self._unit.swallowed |= call.failed  # the application was told that the server may have aborted all of it

    def _on_begin(self, call: Call) -> None:
        """request_started tidies up as request_finished does; nothing is left to tidy where a request had ended."""
        if not call.told:
            return
        if self._marks and self._unit is not None:
            self._unit.closed_inside = True
        elif self._unit is not None:
            self._on_close(call)

    def _on_finish(self, call: Call) -> None:
        self._on_begin(call)

    def _on_sql(self, call: Call) -> None:
        if isinstance(call.plan, Sql) and call.plan.text.upper().startswith(("BEGIN", "START TRANSACTION")):
            self._by_hand = True
        self._on_other(call)

    def _on_enter(self, call: Call) -> None:
        if call.failed:
            return
        if not self._marks:
            self._asked = 0
        if self._unit is None and not self._by_hand:
            self._unit = self._new("manual" if self._manual else "atomic")
        if self._unit is not None:
            self._unit.calls.append(call)
            savepoint = getattr(call.plan, "savepoint", True)
            before = len(self._unit.tokens), len(self._unit.hooks)
            self._marks.append(_Mark(*before, savepoint, self._unit.swallowed))

    def _on_leave(self, call: Call) -> None:
        unit = self._unit
        if unit is None or not self._marks:
            return
        unit.calls.append(call)
        since, hooks, savepoint, erred = self._marks.pop()
        outermost = not self._marks
        rollback = isinstance(call.plan, Leave) and call.plan.outcome == "rollback"
        rollback = rollback or self._asked == len(self._marks) + 1
        self._asked = self._asked if self._asked <= len(self._marks) else 0
        if unit.kind == "manual":  # all blocks are savepoints in what is pending
            unit.vague |= call.failed or (rollback and not savepoint)
        elif rollback and not savepoint and not outermost:
            unit.doomed = True  # there is no savepoint to go back to: the whole block is rolled back with it
        if rollback:
            for token in (*unit.tokens[0 if unit.doomed else since :], *unit.hooks[0 if unit.doomed else hooks :]):
                token.undone = True
            if savepoint and not call.failed and not (outermost and unit.kind == "atomic"):
                unit.swallowed = erred  # what a savepoint has undone had aborted nothing but it
        if outermost and unit.kind == "atomic":
            self._decide("aborted" if rollback or unit.doomed else "doubt" if call.failed else "acked", call)

    def _on_set(self, call: Call) -> None:
        if getattr(call.plan, "what", "") == "needs_rollback" and not call.failed:
            self._asked = len(self._marks)
        self._on_other(call)

    def _on_use(self, call: Call) -> None:
        if self._unit is not None and getattr(call.plan, "how", "") in HOOKS and not call.failed:
            self._unit.hooks.append(Token(call, str(call.step)))
        self._on_other(call)
        if self._unit is not None:
            self._unit.swallowed |= getattr(call.plan, "how", "") == STREAM_LEFT

    def _on_write(self, call: Call) -> None:
        token = Token(call, f"{self._run}:{call.step}")
        if self._by_hand:
            unit = self._new("by hand")
        elif self._unit is not None or self._manual:
            unit = self._unit = self._unit or self._new("manual")
            unit.swallowed |= call.failed
        else:
            unit = self._new("autocommit")
            unit.outcome, unit.closer = "acked" if call.ending == "ok" else "doubt", call
        unit.tokens.append(token)
        unit.calls.append(call)

    def _on_autocommit(self, call: Call) -> None:
        if self._marks or call.failed:
            self._on_other(call)
            return
        on = bool(call.value.get("on"))
        if on:  # switching autocommit on ends the transaction; Django does not say how
            self._decide("doubt", call)
        self._manual = not on

    def _on_commit(self, call: Call) -> None:
        if self._marks:
            self._on_other(call)
        else:
            self._decide("doubt" if call.failed else "acked", call)

    def _on_rollback(self, call: Call) -> None:
        if self._marks:
            self._on_other(call)
        else:
            self._decide("doubt" if call.failed else "aborted", call)

    def _on_close(self, call: Call) -> None:
        if self._marks and self._unit is not None:
            self._unit.closed_inside = True
            self._unit.vague |= self._unit.kind == "manual"
            self._on_other(call)
            return
        self._decide("doubt" if call.failed else "closed", call)
        self._manual, self._by_hand = self._default_manual, False  # the next connection is as the settings say

    def _on_end(self, call: Call) -> None:
        self.view_ends(call)
        if call.told:
            self._on_close(call)
        else:
            self._on_other(call)

    def _on_stop(self, call: Call) -> None:
        """A block that ends with its thread was never left; a backend may be said to commit what else is pending."""
        inside = bool(self._marks) and self._unit is not None and self._unit.kind == "atomic"
        self._decide("aborted" if inside else "doubt", call)
        self._marks = []
