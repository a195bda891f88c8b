"""What is known of one case, as data: what the caller got, which rows came and went, where the cut landed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

ERROR_STATUS = 400
SERVER_ERROR = 500


@dataclass(frozen=True)
class Rows:
    """A table's difference to what was saved, by whole rows: so many are new, so many of the saved ones are gone."""

    new: int = 0
    gone: int = 0

    @property
    def changed(self) -> int:
        """Rows that another one stands in for."""
        return min(self.new, self.gone)

    @property
    def added(self) -> int:
        """Rows more than before."""
        return max(0, self.new - self.gone)

    @property
    def removed(self) -> int:
        """Rows fewer than before."""
        return max(0, self.gone - self.new)

    def __str__(self) -> str:
        parts = [f"{sign}{count}" for sign, count in (("+", self.added), ("-", self.removed), ("~", self.changed))]
        return " ".join(part for part in parts if not part.endswith("0") or len(part) > 2) or "±0"


Tables = Mapping[str, Rows]
NO_ROWS = Rows()


@dataclass(frozen=True)
class Answer:
    """What the caller got: a response's `status`, another value (status None), or an error.

    `error` is the exception in a line, "" when there was none; for a response with a status of 500 it is what the view
    raised, where the test client knows it. `raised`: it reached the caller. `place` is the line of the project that
    the error came through last. `value` and `exception` are the objects themselves. `silent`: the caller went without
    an answer, because its process was killed.
    """

    status: int | None = None
    error: str = ""
    raised: bool = False
    place: str = ""
    silent: bool = False
    value: object = field(default=None, compare=False, repr=False)
    exception: BaseException | None = field(default=None, compare=False, repr=False)

    @property
    def served(self) -> bool:
        """The caller believes that all is well."""
        return not (self.raised or self.silent) and (self.status is None or self.status < ERROR_STATUS)

    @property
    def server_error(self) -> bool:
        """The caller saw an error that no right application answers on purpose."""
        return self.raised or self.silent or (self.status is not None and self.status >= SERVER_ERROR)

    def __str__(self) -> str:
        if self.silent:
            return "no answer"
        if self.raised:
            return self.error.partition(":")[0]
        return "returned" if self.status is None else str(self.status)


@dataclass(frozen=True)
class CutCase:
    """One cut of the call, and what was seen; all that its judge may look at.

    `landed`: the act is in the journal. `committed`: a COMMIT, or a statement that commits by itself, had left before.
    `left_open` are the sessions that were idle in a transaction after the answer. `next` and `invariant` say what the
    next request and the invariant got, "" when all was well. `clean` and `rows` leave out the tables to be ignored.
    `first` is the first answer where the client asked a second time; `answer` then is the second one.
    """

    address: str
    landed: bool
    committed: bool
    answer: Answer
    clean: Tables
    rows: Tables
    left_open: int = 0
    next: str = ""
    invariant: str = ""
    first: Answer | None = None
    waited: float = 0.0
    gave_up: bool = True


def swallowed(place: str) -> str:
    """What is said of a block of atomic() that has lost what it had written, and of a caller who was not told."""
    at = f" at {place}" if place else ""
    return (
        "success without effect: the client was told that all is well, but an error of the database was swallowed "
        f"inside atomic(){at}, and what the block had written was rolled back"
    )


def shown(tables: Tables) -> str:
    """`rows shop_order +1, shop_product ~1`, or `no rows`."""
    parts = [f"{name} {rows}" for name, rows in sorted(tables.items())]
    return f"rows {', '.join(parts)}" if parts else "no rows"
