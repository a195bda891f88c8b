"""Command blocks of README and docs: which there are, whether they run, and whether an output has the shape shown.

A block is fenced and of the language `sh` (commands) or `console` (`$ command` lines, each with its output). The line
above it says what becomes of it:

    <!-- run: fast -->                 at every push
    <!-- run: nightly, status 1 -->    every night; the last command ends so, the others with any of 0 to 2
    <!-- not run: why -->              not at all, and why not

In an output a line `…` stands for any number of lines, and `…` in a line for anything. Numbers, paths and the width of
tables do not count, nor void runs, nor the moments that a brief check names of a broken promise: those found first.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(r"^(?P<fence>```+)(?P<language>[^\n]*)\n(?P<text>.*?)^(?P=fence)$", re.MULTILINE | re.DOTALL)
MARK = re.compile(r"<!-- (?:run: (?P<when>fast|nightly)(?:, status (?P<status>\d+))?|not run: (?P<why>.+)) -->\n\Z")
COMMANDS = re.compile(r"^ {4}(?:\$ )?(?:lab|make|pytest|pip|docker|python|sh|\.venv\S+|LAB_\w+=\S+|cd) ", re.MULTILINE)
RUNS = ("sh", "console")


@dataclass(frozen=True)
class Block:
    """One block: where it is, what it says, and what becomes of it; `when` is "" for one that is not run."""

    page: str
    line: int
    language: str
    text: str
    when: str = ""
    status: int = 0
    why: str = ""

    @property
    def marked(self) -> bool:
        """Whether the line above says what becomes of it."""
        return bool(self.when or self.why)

    def commands(self) -> list[tuple[str, list[str] | None]]:
        """Each command with the lines that it prints; a block of `sh` is one command, whose output is not shown."""
        if self.language == "sh":
            return [(self.text, None)]
        found: list[tuple[str, list[str] | None]] = []
        for line in self.text.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], []))
            else:
                shown = found[-1][1]
                assert shown is not None
                shown.append(line)
        return found


def pages() -> list[Path]:
    """README, CONTRIBUTING, and every page of the documentation that is not written from the code."""
    docs = [page for page in sorted((ROOT / "docs").rglob("*.md")) if "reference" not in page.parts]
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "tests" / "README.md", *docs]


def blocks(page: Path, root: Path = ROOT) -> list[Block]:
    """Its blocks of commands."""
    text = page.read_text()
    found = []
    for match in BLOCK.finditer(text):
        language = match["language"].strip()
        if language not in RUNS:
            continue
        mark = MARK.search(text[: match.start()])
        line = text.count("\n", 0, match.start()) + 1
        name = str(page.relative_to(root))
        if mark is None:
            found.append(Block(name, line, language, match["text"]))
        else:
            status, why = int(mark["status"] or 0), mark["why"] or ""
            found.append(Block(name, line, language, match["text"], mark["when"] or "", status, why))
    return found


def stray(page: Path) -> list[str]:
    """Commands that stand where nothing runs them: indented, or fenced in no language or another one."""
    text = page.read_text()
    outside = BLOCK.sub("", text)
    lines = COMMANDS.findall(outside)
    for match in BLOCK.finditer(text):
        if match["language"].strip() in ("", "text") and re.search(r"^\$ ", match["text"], re.MULTILINE):
            lines.append(match["text"].splitlines()[0])
    return lines


def shape(line: str) -> str:
    """A line without what differs from run to run."""
    line = re.sub(r"[│┃|]", " ", line)
    line = re.sub(r"[─━┬┴┼├┤╭╮╰╯]+", "─", line)
    line = re.sub(r"^(\s*[✗○] (?:broken|limit) [a-z-]+:).*", r"\1 …", line)
    line = re.sub(r", \d+ of them void", "", line)
    line = re.sub(r"\d+(?:[.,]\d+)*", "0", line)
    line = re.sub(r"\b(cases|plans|runs|times|limits)\b", lambda word: word[0][:-1], line)
    return " ".join(line.split())


def fits(shown: list[str], printed: list[str]) -> str:
    """ "" where `printed` has the shape of `shown`; else the first line of `shown` that is not there in its place."""
    want, have = [shape(line) for line in shown], [shape(line) for line in printed]
    want, have = [line for line in want if line not in ("", "─")], [line for line in have if line not in ("", "─")]
    at, anywhere = 0, False
    for number, line in enumerate(want):
        if line == "…":
            anywhere = True
            continue
        pattern = re.compile(".*".join(re.escape(part.strip()) for part in line.split("…")))
        end = len(have) if anywhere else min(at + 1, len(have))
        hit = next((each for each in range(at, end) if pattern.fullmatch(have[each])), None)
        if hit is None:
            return f"line {number + 1} of what is shown is not there: {line!r}; instead: {have[at : at + 3]}"
        at, anywhere = hit + 1, False
    return "" if anywhere or at == len(have) else f"more was printed than is shown: {have[at : at + 3]}"
