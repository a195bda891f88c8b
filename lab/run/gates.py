"""Gates: locks by which the lab holds a statement inside the server until it shall go on."""

from __future__ import annotations

from lab.records.plan import Plan, Read, Write
from lab.rig.site.site import PlanSite


class Gates:
    """One for each step that asks to be held; all are shut before the subject is forked.

    A `commit` gate is that of the COMMIT which comes after the write: it opens when a later step has returned.
    """

    def __init__(self, plan: Plan, site: PlanSite, run: str) -> None:
        self._steps = plan.steps
        self._site = site
        self._shut = {
            index: self.key(run, index)
            for index, step in enumerate(plan.steps)
            if isinstance(step, Read | Write) and step.hold
        }
        site.lock(self._shut.values())

    @staticmethod
    def key(run: str, index: int) -> int:
        """The key of an advisory lock that is that step's alone, of all runs."""
        return int(run, 16) << 12 & 0x7FFFFFFFFFFFFFFF | index

    def __bool__(self) -> bool:
        """Whether any is shut."""
        return bool(self._shut)

    def of(self, index: int) -> int | None:
        """The key of a step's gate; None: it has none, or it is open."""
        return self._shut.get(index)

    def open_all(self) -> None:
        """Nobody is held any more."""
        for index in list(self._shut):
            self._open(index)

    def open_for(self, actor: str, upto: int) -> None:
        """Open those of an actor who must go on with the step `upto`."""
        for index in self._of(actor):
            if index <= upto:
                self._open(index)

    def returned(self, actor: str, upto: int) -> None:
        """Open those that an actor has left behind, the step `upto` having returned."""
        for index in self._of(actor):
            step = self._steps[index]
            at_commit = isinstance(step, Write) and step.hold == "commit"
            if index < upto or (index == upto and not at_commit):
                self._open(index)

    def _of(self, actor: str) -> list[int]:
        return [index for index in self._shut if getattr(self._steps[index], "actor", "") == actor]

    def _open(self, index: int) -> None:
        self._site.unlock(self._shut.pop(index))
