"""Which rules of a tap's port are still to act, and whether a message is the one that they wait for. No I/O."""

from __future__ import annotations

from lab.records.words import Direction
from lab.wire.protocol import Frame
from lab.wire.rule import Rule


class Armed:
    """A rule that waits for its moment. `left` counts the occurrences still to come; `spent` means that it will not act
    again.
    """

    __slots__ = ("left", "rule", "spent")

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.left = rule.moment.occurrence
        self.spent = False

    def claims(self, connection: int) -> bool:
        """Whether its moment may be on that connection."""
        return not self.spent and self.rule.moment.connection in (None, connection)

    def reached(self) -> bool:
        """Count one occurrence of its moment; return whether this is the one (a rule that acts once is then spent)."""
        self.left = max(0, self.left - 1)
        if self.left:
            return False
        self.spent = not self.rule.repeat
        return True


class Stop:
    """A place in a direction's stream where a rule acts. `frame` is the message it was found by, None for an absolute
    byte.
    """

    __slots__ = ("armed", "frame", "offset")

    def __init__(self, offset: int, armed: Armed, frame: Frame | None) -> None:
        self.offset = offset
        self.armed = armed
        self.frame = frame


class Arming:
    """The armed rules of one port of the tap; for the tap's own thread alone."""

    def __init__(self) -> None:
        self.rules: list[Armed] = []

    def add(self, rule: Rule) -> Armed:
        """Arm a rule: occurrences are counted from now on."""
        armed = Armed(rule)
        self.rules.append(armed)
        return armed

    def disarm(self) -> None:
        """Forget every rule; one that has found its message but not yet acted does not act any more."""
        for armed in self.rules:
            armed.spent = True
        self.rules.clear()

    def held(self, connection: int, direction: Direction) -> bool:
        """Whether bytes of that direction must be understood before they may pass."""
        for armed in self.rules:  # no generator: this is asked at every read
            moment = armed.rule.moment
            if armed.claims(connection) and moment.is_message and moment.may_be_in(direction):
                return True
        return False

    def connect(self, connection: int) -> list[Armed]:
        """The rules whose moment is this new connection."""
        found = [a for a in self.rules if a.rule.moment.name == "connect" and a.claims(connection) and a.reached()]
        self._forget_spent()
        return found

    def stops(self, connection: int, direction: Direction, frame: Frame) -> list[Stop]:
        """The places in this message at which rules act, first to last."""
        found = []
        acted = False
        for armed in self.rules:
            if armed.claims(connection) and _is_at(armed.rule, direction, frame) and armed.reached():
                acted = True
                byte = armed.rule.moment.byte
                offset = frame.end if byte is None else frame.start + byte
                if offset <= frame.end:  # else the message is too short: the rule is spent and did not land
                    found.append(Stop(offset, armed, frame))
        if acted:
            self._forget_spent()
            found.sort(key=lambda stop: stop.offset)
        return found

    def bytes(self, connection: int, direction: Direction, passed: int) -> list[Stop]:
        """The absolute bytes of a direction, not yet behind it, at which rules act."""
        return sorted(
            (
                Stop(armed.rule.moment.byte or 0, armed, None)
                for armed in self.rules
                if armed.rule.moment.absolute
                and armed.rule.moment.direction == direction
                and armed.claims(connection)
                and (armed.rule.moment.byte or 0) >= passed
            ),
            key=lambda stop: stop.offset,
        )

    def due(self, stop: Stop) -> bool:
        """Whether a stop that is reached makes its rule act. An absolute byte is claimed by the first connection to
        reach it.
        """
        if stop.frame is not None:
            return True
        if stop.armed.spent:
            return False
        stop.armed.spent = not stop.armed.rule.repeat
        self._forget_spent()
        return True

    def _forget_spent(self) -> None:
        self.rules = [armed for armed in self.rules if not armed.spent]


def _is_at(rule: Rule, direction: Direction, frame: Frame) -> bool:
    moment = rule.moment
    if moment.name:
        return moment.name in frame.moments or moment.name in frame.begins
    return moment.ordinal == frame.ordinal and moment.direction == direction
