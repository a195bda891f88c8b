"""The tales of `lab demo`: stored plans, each with the variants that it is told of and what must be seen there."""

from __future__ import annotations

from dataclasses import dataclass

from lab.errors import UnknownName


@dataclass(frozen=True)
class Tale:
    """One tale; its plan is `lab/plans/NAME.json`.

    `breaks` is the promise that each variant of `broken` breaks, while those of `whole` break none at all: the
    repaired backends, and whichever others do it right. `replays` is how often each is run again.
    """

    name: str
    summary: str
    lesson: str
    breaks: str
    broken: tuple[str, ...]
    whole: tuple[str, ...]
    replays: int = 5

    @property
    def variants(self) -> tuple[str, ...]:
        """All of them, in the order in which they are told of."""
        return self.broken + self.whole


TALES = (
    Tale(
        "thread-safety",
        "thread t0 moves something in two writes, thread t1 only reads: they share one connection",
        "The end of one request commits half of another one: a connection belongs to one thread at a time.",
        "isolated-threads",
        ("published_global",),
        ("published_threadlocal", "persistent_threadlocal"),
        replays=20,
    ),
    Tale(
        "poisoned-wrapper",
        "one session is lost inside atomic(), and every later request of that thread fails",
        "The wrapper keeps its dead connection: what is kept must be looked at before it is used again.",
        "recovers",
        ("published_threadlocal",),
        ("django_per_request", "persistent_threadlocal"),
    ),
    Tale(
        "commit-in-doubt",
        "COMMIT reaches the server, its answer is lost: the application gets an error, and the row is there",
        "After such an error the rows may be there: look before you try again. The error must say what was lost.",
        "honest-error",
        ("published_threadlocal",),
        ("django_per_request", "persistent_threadlocal"),
    ),
    Tale(
        "swallowed-error",
        "an error is caught inside atomic(), the block ends without one, and nothing of it is stored",
        "PostgreSQL answers ROLLBACK to the COMMIT of a failed transaction, without an error: catch outside atomic().",
        "durable",
        ("django_per_request",),
        ("persistent_threadlocal",),
    ),
    Tale(
        "fork",
        "a request forks, and parent and child send their questions over one and the same socket",
        "A child must open connections of its own, and must not end its parent's.",
        "fork-safe",
        ("published_threadlocal", "django_persistent"),
        ("persistent_threadlocal",),
        replays=3,  # each has a child process more
    ),
    Tale(
        "stale-after-restart",
        "the server restarts between two requests, and the next request pays for it",
        "Whatever is kept between requests may have died there: check it before the first use.",
        "replaces-stale",
        ("django_persistent",),
        ("django_health_checks", "persistent_threadlocal"),
        replays=3,  # a restart is alone on its server
    ),
    Tale(
        "pool-at-failover",
        "after a failover the pool hands out sessions that answer every question and refuse every write",
        "A check that only asks for an answer finds nothing: the error 25006 itself must cost the session.",
        "writable",
        ("django_pool",),
        ("persistent_threadlocal",),
        replays=3,  # the same
    ),
)


def tale(name: str) -> Tale:
    """The tale of that name; raises UnknownName."""
    for each in TALES:
        if each.name == name:
            return each
    raise UnknownName(f"there is no story {name!r}", f"known: {', '.join(each.name for each in TALES)}")
