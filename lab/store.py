"""Folders of evidence: what was planned, what happened, what was concluded, with everything needed to do it again.

    store/                              $LAB_STORE, else ./store
    ├── latest -> published_global/…    the check that ended last
    └── published_global/
        ├── latest -> 20260102T030405-7
        └── 20260102T030405-7/          when, and the seed
            ├── verdicts.json           the document that `--json` writes; there once the check is over
            ├── kept.jsonl              every run that broke nothing: one record a line
            ├── cuts.json               the strips of the one request that was cut before each message
            └── cases/0012-recovers-in-atomic-fin/
                    plan.json           replay it: `lab replay …/plan.json`
                    history.jsonl events.jsonl journal.jsonl census.json landings.json run.json
                    verdicts.json       every promise's finding, and how many replays agree
                    server.log          PostgreSQL's own lines about it

A file is written under another name and renamed when it is whole, and so is a case's folder: a reader never sees half
of one, and a full disk loses only what would have been written next.
"""

from __future__ import annotations

import errno
import itertools
import os
import re
import shutil
import stat
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from lab.errors import StoreUnwritable
from lab.records.census import Census
from lab.records.codec import decode_plan, encode
from lab.records.history import Event, Op
from lab.records.landing import Landing
from lab.records.plan import Plan
from lab.records.record import Record
from lab.records.secret import masked
from lab.records.variant import Variant
from lab.records.verdict import Finding, Verdict

VARIABLE = "LAB_STORE"
CASES = "cases"
LATEST = "latest"
"""The links to the check that ended last."""
TABLE = "table.json"
"""What an exploration found, in its own folder."""
STRIP = "cuts.json"
"""The same of the cuts within a check, in the check's folder."""
LARGEST = 64_000_000  # bytes of one stored file: what is larger was not written by this lab
LONGEST_NAME = 90  # of a case's folder, in characters
LINES: dict[str, type[Any]] = {"ops": Op, "events": Event, "journal": dict[str, Any]}
FILES = {"ops": "history.jsonl", "events": "events.jsonl", "journal": "journal.jsonl"}
LISTS: dict[str, type[Any]] = {"census": Census, "landings": Landing}


def default_root() -> Path:
    """`$LAB_STORE`, else `store` in the current folder."""
    return Path(os.environ.get(VARIABLE) or "store")


class Store:
    """All checks ever made below one folder. Threads and labs may share it."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self.opened: list[CheckFolder] = []

    def open(self, variant: str, seed: int) -> CheckFolder:
        """A new folder for one check of `variant`; raises StoreUnwritable at once, not when evidence is there."""
        parent = self.root / slug(variant, keep="._")
        stamp = f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{seed}"
        with unwritable(parent):
            parent.mkdir(parents=True, exist_ok=True)
            for again in itertools.count(1):
                path = parent / (stamp if again == 1 else f"{stamp}.{again}")
                try:
                    path.mkdir()
                    break
                except FileExistsError:
                    continue
            (path / "cases").mkdir()
        self.opened.append(CheckFolder(self.root, path))
        return self.opened[-1]


class CheckFolder:
    """One check's folder, written by many threads while it runs."""

    def __init__(self, root: Path, path: Path) -> None:
        self._root = root
        self._lock = threading.Lock()
        self.path = path

    def keep(
        self,
        name: str,
        record: Record,
        findings: Sequence[Finding],
        agreement: Mapping[str, str] | None = None,
        log: str = "",
    ) -> Path:
        """Store one run whole; returns the path of its plan.json, whose `expect` says what this run showed.

        `agreement` says for each broken promise how many replays agree, as a phrase. Raises StoreUnwritable.
        """
        target = self.path / "cases" / slug(name)
        stage = target.with_name(f".{target.name}.{threading.get_ident()}")
        with unwritable(target):
            try:
                stage.mkdir()
                for file, data in _case_files(record, findings, agreement or {}, log).items():
                    (stage / file).write_bytes(data)
                if target.exists():
                    shutil.rmtree(target)
                stage.rename(target)
            finally:
                shutil.rmtree(stage, ignore_errors=True)
        return target / "plan.json"

    def note(self, record: Record, findings: Sequence[Finding]) -> None:
        """Store one run that broke nothing, as one line of kept.jsonl. Raises StoreUnwritable."""
        record = msgspec.structs.replace(record, plan=shareable(record.plan))
        line = msgspec.json.encode({"findings": findings, "record": record}) + b"\n"
        path = self.path / "kept.jsonl"
        with self._lock, unwritable(path), path.open("ab", buffering=0) as file:
            size = file.tell()
            try:
                if file.write(line) != len(line):
                    raise OSError(28, os.strerror(28))  # what a short write to a file means: ENOSPC
            except OSError:
                os.truncate(path, size)  # the lines before stay whole
                raise

    def finish(self, document: bytes) -> Path:
        """Write verdicts.json and point both `latest` links at this check; returns its path. Raises StoreUnwritable."""
        path = self.path / "verdicts.json"
        write(path, document)
        with self._lock, unwritable(path):
            _point(self.path.parent / LATEST, Path(self.path.name))
            _point(self._root / LATEST, self.path.relative_to(self._root))
        return path

    def records(self) -> Iterator[tuple[Record, tuple[Finding, ...]]]:
        """Every run of this check with its findings as they were, from the files: an old run can be judged again."""
        for plan in sorted(self.path.glob("cases/*/plan.json")):
            yield read_case(plan.parent)
        yield from read_kept(self.path)


def holding(root: Path, file: str) -> list[Path]:
    """The folders of a store's variants that hold a file of this name; what `latest` names is not taken twice."""
    places = (path.parent for path in sorted(root.glob(f"*/*/{file}")))
    # By its name, too: a store that came as an archive may hold what the link pointed at instead of the link.
    return [each for each in places if not any(one.is_symlink() or one.name == LATEST for one in (each, each.parent))]


class _Kept(msgspec.Struct):
    findings: tuple[Finding, ...]
    record: Record


class _Verdicts(msgspec.Struct):
    findings: tuple[Finding, ...]
    agreement: dict[str, str] = {}  # older labs wrote none


def read_case(folder: Path) -> tuple[Record, tuple[Finding, ...]]:
    """A stored case as it was recorded and judged; raises PlanInvalid, OSError or msgspec.ValidationError."""
    values: dict[str, Any] = msgspec.json.decode(read_file(folder / "run.json"), type=dict[str, Any])
    parts: dict[str, Any] = {}
    for name, kind in LINES.items():
        parts[name] = tuple(msgspec.json.Decoder(kind).decode_lines(read_file(folder / FILES[name])))
    for name, kind in LISTS.items():
        parts[name] = msgspec.json.decode(read_file(folder / f"{name}.json"), type=tuple[kind, ...])  # type: ignore[valid-type]
    plan = decode_plan(read_file(folder / "plan.json"), str(folder / "plan.json"))
    record = msgspec.convert({**values, "plan": msgspec.to_builtins(plan), **dict.fromkeys(parts, ())}, Record)
    verdicts = msgspec.json.decode(read_file(folder / "verdicts.json"), type=_Verdicts)
    return msgspec.structs.replace(record, **parts), verdicts.findings


def read_kept(folder: Path) -> Iterator[tuple[Record, tuple[Finding, ...]]]:
    """The runs of a check's folder that broke nothing, one after the other; raises as `read_case` does."""
    kept = folder / "kept.jsonl"
    if not kept.exists() or kept.is_symlink():
        return
    with kept.open("rb") as lines:
        for line in lines:
            both = msgspec.json.decode(line, type=_Kept)
            yield both.record, both.findings


def read_file(path: Path) -> bytes:
    """A stored file; raises OSError for a link, for what is no regular file, and for one larger than LARGEST.

    A store may come from somebody else: a link in it could show a file of this machine, a pipe would never end.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "it is no regular file", str(path))
        if status.st_size > LARGEST:
            raise OSError(errno.EFBIG, f"it is larger than {LARGEST} bytes", str(path))
        return file.read()


def shareable(plan: Plan) -> Plan:
    """The same plan without the secrets that stand in its settings and OPTIONS: whoever replays it has to give them."""
    return msgspec.structs.replace(plan, variant=masked_variant(plan.variant))


def masked_variant(variant: Variant) -> Variant:
    """The same variant without the secrets that stand in its settings and OPTIONS."""
    return msgspec.structs.replace(variant, settings=masked(variant.settings), options=masked(variant.options))


def expecting(plan: Plan, findings: Sequence[Finding]) -> Plan:
    """The same plan with `expect` saying which promises a run of it was seen to keep and to break."""
    shown = {finding.promise: str(finding.verdict) for finding in findings if finding.verdict in SHOWN}
    return msgspec.structs.replace(plan, expect=shown)


SHOWN = (Verdict.BROKEN, Verdict.KEPT)


def write(path: Path, data: bytes) -> None:
    """Write a file whole or not at all; raises StoreUnwritable. What is no regular file (a pipe) is written to."""
    if path.exists() and not path.is_file():
        with unwritable(path):
            path.write_bytes(data)
        return
    stage = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    with unwritable(path):
        try:
            stage.write_bytes(data)
            stage.replace(path)
        finally:
            stage.unlink(missing_ok=True)


@contextmanager
def unwritable(path: Path) -> Iterator[None]:
    """Turn what the file system says into one line with a remedy."""
    try:
        yield
    except OSError as error:
        raise StoreUnwritable(
            f"cannot write {path}: {error.strerror or error}",
            f"free space there, or choose another folder with --store or ${VARIABLE}; what was stored before is whole",
        ) from None


def slug(text: str, keep: str = "") -> str:
    """`text` as a name for a folder: letters, digits and hyphens (and underscores), never empty, not too long."""
    name = re.sub(rf"[^A-Za-z0-9_{re.escape(keep)}]+", "-", text).strip("-.")
    return name[:LONGEST_NAME].rstrip("-.") or "unnamed"


def _case_files(
    record: Record, findings: Sequence[Finding], agreement: Mapping[str, str], log: str
) -> dict[str, bytes]:
    rest = msgspec.to_builtins(record)
    lines = {name: rest.pop(name, []) for name in LINES}
    lists = {name: rest.pop(name, []) for name in LISTS}
    rest.pop("plan")
    return {
        "plan.json": encode(expecting(shareable(record.plan), findings)),
        "run.json": encode(rest),
        "verdicts.json": encode({"findings": findings, "agreement": dict(agreement)}),
        "server.log": log.encode(),
        **{FILES[name]: b"".join(msgspec.json.encode(line) + b"\n" for line in lines[name]) for name in LINES},
        **{f"{name}.json": encode(lists[name]) for name in LISTS},
    }


def _point(link: Path, target: Path) -> None:
    """A symbolic link replaced in one move."""
    stage = link.with_name(f".{link.name}.{os.getpid()}.{threading.get_ident()}")
    stage.unlink(missing_ok=True)
    stage.symlink_to(target)
    stage.replace(link)
