"""iterator() without a cursor of the server."""

from __future__ import annotations

from lab.advice.change import Change, Laid, Now, change


@change
class ServerSideCursors(Change):
    """Needed behind a pooler that changes sessions between transactions."""

    id = "no-server-side-cursors"
    does = "QuerySet.iterator() reads a whole result at once."
    costs = "memory for the result of each iterator()"
    source = "https://docs.djangoproject.com/en/stable/ref/settings/#disable-server-side-cursors"
    promises = ("works-unfaulted", "own-answers")
    price = 2

    def lay(self, now: Now, *, proof: bool) -> Laid | None:
        return None if now.settings.get("DISABLE_SERVER_SIDE_CURSORS") else Laid({"DISABLE_SERVER_SIDE_CURSORS": True})
