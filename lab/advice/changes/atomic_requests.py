"""Each view in a transaction."""

from __future__ import annotations

from lab.advice.change import Change, Laid, Now, change


@change
class AtomicRequests(Change):
    """What a view leaves half done is rolled back with it."""

    id = "atomic-requests"
    does = "Each view runs in a transaction, which is rolled back when it raises."
    costs = "BEGIN and COMMIT for each request, and locks until its end"
    source = "https://docs.djangoproject.com/en/stable/topics/db/transactions/#tying-transactions-to-http-requests"
    promises = ("recovers", "idle-after-close", "atomic", "durable", "aborts-cleanly")
    price = 4

    def lay(self, now: Now, *, proof: bool) -> Laid | None:
        return None if now.traits.atomic_requests else Laid({"ATOMIC_REQUESTS": True})
