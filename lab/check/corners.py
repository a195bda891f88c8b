"""Variants under several versions of Django, drivers and Python: one rig, and a check for each corner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from lab.check.check import Options, check
from lab.check.progress import Progress
from lab.check.subjects import subjects
from lab.errors import BadInput
from lab.records.result import Result
from lab.records.variant import Driver, Variant
from lab.rig.machine.environments import Environment
from lab.rig.protocol import RigProtocol
from lab.store import Store


@dataclass(frozen=True)
class Corner:
    """One Django under one Python with one driver; None: as the variant's row says."""

    environment: Environment
    driver: Driver | None

    @property
    def name(self) -> str:
        """In a few words: "5.2/3.11/psycopg2"."""
        return "/".join(filter(None, [self.environment.django, self.environment.python, self.driver]))


@dataclass
class Corners:
    """The results of each corner by the corner's name, and which variants cannot run there, and why."""

    found: dict[str, list[Result]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)


def judge_corners(
    variants: Sequence[Variant],
    corners: Sequence[Corner],
    rig: RigProtocol,
    options: Options,
    store: Store,
    progress: Progress,
    apart: RigProtocol | None = None,
) -> Corners:
    """Judge every variant in every corner; one that cannot serve a request there is left out, with its reason."""
    done = Corners()
    for corner in corners:
        progress.say(f"{corner.name}: {corner.environment}")
        inside = [
            msgspec.structs.replace(
                variant, driver=corner.driver or variant.driver, python=corner.environment.executable
            )
            for variant in variants
        ]
        usable, refused = _usable(inside, rig)
        done.left_out.update({f"{corner.name} {name}": why for name, why in refused.items()})
        if usable:
            done.found[corner.name] = check(usable, rig, options, store, progress, apart)
    return done


def _usable(variants: Sequence[Variant], rig: RigProtocol) -> tuple[list[Variant], dict[str, str]]:
    """Those that serve a request without any fault, and why the others do not."""
    found, refused = [], {}
    with subjects(rig) as started:
        for variant in variants:
            try:
                started.start([variant])
            except BadInput as error:
                refused[variant.name] = error.message
            else:
                found.append(variant)
    return found, refused
