"""every_cut and every_order without pytest: as functions, and for Django's own TransactionTestCase.

    class Orders(JudgedTestCase, TransactionTestCase):
        def test_order_once(self):
            self.every_cut(lambda: self.client.post("/orders/", {"sku": "a", "n": 1}), self.books)

Import it where test modules are imported, before the test databases are made: only databases made after that are
touched. The environment says what the command line of pytest would: LAB_CUT, LAB_ORDER, LAB_EVERY, LAB_WAYS,
LAB_PREEMPTIONS and LAB_BOUND.
"""

from __future__ import annotations

import atexit
import os
import shlex
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

from lab.application import evidence
from lab.application.failure import Broken, Outcome
from lab.application.made import watch
from lab.application.session import Options, Session, every_of, ways_of
from lab.errors import LabError

if TYPE_CHECKING:
    from django.test import TransactionTestCase

    _Base = TransactionTestCase
else:
    _Base = object

watch()
_sessions: dict[int, Session] = {}


def every_cut(call: Callable[[], Any], invariant: Callable[..., Any] | None = None, **options: Any) -> Outcome:
    """See lab.application.cuts.every_cut, whose options these are. Raises Broken (an AssertionError), or LabError."""
    from lab.application.cuts import every_cut as run  # noqa: PLC0415  # needs Django's settings

    return run(options.pop("session", None) or session(), call, invariant, **options)


def every_order(*calls: Callable[[], Any], **options: Any) -> Outcome:
    """See lab.application.orders.every_order, whose options these are. Raises Broken, or LabError."""
    from lab.application.orders import every_order as run  # noqa: PLC0415

    return run(options.pop("session", None) or session(), *calls, **options)


def session() -> Session:
    """The session of this process; a forked worker of a parallel run has one of its own."""
    found = _sessions.get(os.getpid())
    if found is None:
        say = os.environ.get
        preemptions = say("LAB_PREEMPTIONS")
        options = Options(
            cut=say("LAB_CUT", ""),
            order=say("LAB_ORDER", ""),
            every=every_of(say("LAB_EVERY", "statement")),
            ways=ways_of(say("LAB_WAYS", "fin")),
            preemptions=int(preemptions) if preemptions else None,
            bound=float(say("LAB_BOUND", "30")),
        )
        found = _sessions[os.getpid()] = Session(options, replay=_replay)
        atexit.register(found.close)
    return found


def _evidence(broken: Broken) -> list[str]:
    """Store what was found; in a line how it is drawn."""
    if broken.found is None:
        return []
    root = session().store
    try:
        evidence.keep(root, broken.found)
    except LabError as error:
        return ["", f"no page: {error}"]
    return ["", f"pages: lab report {shlex.quote(min(os.path.relpath(root), str(root), key=len))}"]


def _replay(test: str, option: str, address: str) -> str:
    variable = option.removeprefix("--").replace("-", "_").upper()
    return f"{variable}='{address}' python manage.py test {test}".rstrip()


class JudgedTestCase(_Base):
    """A mixin before TransactionTestCase: `self.every_cut` and `self.every_order`."""

    def every_cut(self, call: Callable[[], Any], invariant: Callable[..., Any] | None = None, **options: Any) -> None:
        """Fail with the report when the call does not survive a cut."""
        self._judge(lambda: every_cut(call, invariant, **self._of_test(options)))

    def every_order(self, *calls: Callable[[], Any], **options: Any) -> None:
        """Fail with the report when an order of the calls ends as no serial one does."""
        self._judge(lambda: every_order(*calls, **self._of_test(options)))

    def _of_test(self, options: dict[str, Any]) -> dict[str, Any]:
        from django.db import connections  # noqa: PLC0415  # needs Django's settings

        session().test = self.id()
        named: str | Collection[str] = type(self).databases
        return {"aliases": list(connections) if named == "__all__" else sorted(named), **options}

    def _judge(self, run: Callable[[], Outcome]) -> None:
        try:
            outcome = run()
        except Broken as broken:
            text = "\n".join([str(broken), *_evidence(broken)])
        except LabError as error:
            text = str(error)
        else:
            if outcome.told:
                os.write(2, f"\n{outcome.told}\n".encode())
            return
        self.fail(text)
