"""A shard: one of so many parts of all plans, chosen by a hash of each plan, the same wherever it is computed."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from lab.errors import BadInput
from lab.records.plan import Plan
from lab.records.secret import masked

MOST = 1000


class Shard(Struct, frozen=True):
    """Part `index` of `of`, counted from 1; 1 of 1 is everything."""

    index: int = 1
    of: int = 1

    def __str__(self) -> str:
        return f"{self.index}/{self.of}"

    @property
    def whole(self) -> bool:
        """Whether it is everything."""
        return self.of == 1

    def holds(self, key: str) -> bool:
        """Whether what has this key is run in this shard."""
        return place(key) % self.of == self.index - 1


WHOLE = Shard()


def parse(text: str) -> Shard:
    """`2/5` as a shard, "" as everything; raises BadInput."""
    if not text:
        return WHOLE
    found = re.fullmatch(r"(\d{1,4})/(\d{1,4})", text)
    if found is None or not 1 <= int(found[1]) <= int(found[2]) <= MOST:
        raise BadInput(f"--shard {text}: that is no part of a whole", f"write it as 2/5, from 1/1 to {MOST}/{MOST}")
    return Shard(int(found[1]), int(found[2]))


def place(key: str) -> int:
    """A number of 64 bits for a key. Not Python's hash(), which is another one in each process."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big")


def key_of(plan: Plan) -> str:
    """What a plan does and on which settings, as a key: without the folders of the machine that it was made on."""
    variant = plan.variant
    what = (
        (variant.name, variant.engine, variant.driver, masked(variant.settings), masked(variant.options)),
        (variant.module, variant.alias, plan.steps, plan.bound, plan.seed, plan.init, plan.lifecycles),
    )
    text = msgspec.json.encode(what, enc_hook=str, order="deterministic")
    return hashlib.sha256(text).hexdigest()


def adding_up(name: str, shards: Sequence[Shard]) -> None:
    """Raises BadInput where these are not all shards of one whole, each once; `name` says of what."""
    of = shards[0].of
    counts = Counter(shard.index for shard in shards)
    missing = [index for index in range(1, of + 1) if not counts[index]]
    double = [index for index in sorted(counts) if counts[index] > 1]
    if missing or double:
        words = [_numbers(missing, "missing"), _numbers(double, "there more than once")]
        raise BadInput(
            f"{name}: the shards do not add up: of {of}, {' and '.join(filter(None, words))}",
            f"run --shard {missing[0]}/{of}, or give its store, too"
            if missing
            else "give the store of each shard once",
        )


def agreeing(name: str, places: Sequence[object], parts: Mapping[str, Sequence[Any]]) -> None:
    """Raises BadInput where the shards in these places differ in one of `parts`, which has a value for each of them."""
    for what, values in parts.items():
        for place, value in zip(places[1:], values[1:], strict=True):
            if value != values[0]:
                raise BadInput(
                    f"{name}: {places[0]} and {place} differ in {what}{_how(values[0], value)}",
                    "run all shards with one commit, the same versions and the same arguments",
                )


def _how(one: Any, other: Any) -> str:
    """What differs, where it is short enough to be said."""
    if isinstance(one, dict) and isinstance(other, dict):
        keys = sorted(key for key in {*one, *other} if one.get(key) != other.get(key))
        return ": " + ", ".join(f"{key} {one.get(key)} and {other.get(key)}" for key in keys)
    return f": {one} and {other}" if isinstance(one, str | int) else ""


def _numbers(numbers: Sequence[int], words: str) -> str:
    return f"{', '.join(map(str, numbers))} {'are' if len(numbers) > 1 else 'is'} {words}" if numbers else ""
