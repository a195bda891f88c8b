"""What may be shown of a text: no password, no row's contents, nothing that turns the page around it.

A store may come from a stranger, and a server's message may quote what an application wrote. Escaping is the
templates' and the drawing's business; here it is decided which words are let through at all.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Any

LONGEST = 400
"""Characters of one text; what is longer ends in an ellipsis."""
HIDDEN = "…"

_SECRET_KEY = re.compile(r"pass|secret|token|credential|private|sslkey|service_account|api_?key", re.IGNORECASE)
_SECRETS = (
    # libpq's connection strings and URLs, as errors and settings quote them
    (
        re.compile(r"(?i)\b((?:ssl)?pass(?:word|wd|file)?|secret)(['\"]?\s*[=:]\s*)('[^']*'|\"[^\"]*\"|[^\s,;&]+)"),
        rf"\1\2{HIDDEN}",
    ),
    (re.compile(r"(\w://[^\s:/@]+):[^\s/@]+@"), rf"\1:{HIDDEN}@"),
    # what PostgreSQL quotes of a row: unique violations, checks, parameters
    (re.compile(r"(?i)(\bKey \([^)]*\)\s*=\s*)\(.*?\)(?= |$)"), rf"\1({HIDDEN})"),
    (re.compile(r"(?i)(failing row contains )\(.*\)"), rf"\1({HIDDEN})"),
    (re.compile(r"(?i)(\bparameters?: ).*"), rf"\1{HIDDEN}"),
)
_LITERAL = re.compile(r"E?'(?:[^']|'')*'|\$(\w*)\$.*?\$\1\$", re.DOTALL)
_QUOTES_SQL = re.compile(r"STATEMENT:|SQL statement|duration:|execute |LOG:\s+statement:")
_NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?![\w.])")


def shown(text: object, longest: int = LONGEST) -> str:
    """A text for a page: secrets and rows taken out, no control or direction signs, not longer than `longest`."""
    return _shown(str(text)[: 16 * longest], longest)


@lru_cache(16_384)  # a page says the same names again and again
def _shown(plain: str, longest: int) -> str:
    for pattern, instead in _SECRETS:
        plain = pattern.sub(instead, plain)
    plain = "".join(" " if each in "\n\t\r" else each for each in plain if each in "\n\t\r" or _harmless(each))
    plain = " ".join(plain.split())
    return plain if len(plain) <= longest else plain[: longest - 1] + HIDDEN


def log_line(line: str, longest: int = LONGEST) -> str:
    """A line of the server's log: of a statement that it quotes the literals are taken out, too."""
    head = _QUOTES_SQL.search(line)
    if head:
        sql = _NUMBER.sub(HIDDEN, _LITERAL.sub(f"'{HIDDEN}'", line[head.end() :]))
        line = line[: head.end()] + sql
    return shown(line, longest)


def setting(key: str, value: Any) -> str:
    """A value of DATABASES or OPTIONS; one whose key says that it is secret is not shown."""
    if _SECRET_KEY.search(key):
        return HIDDEN
    if value is None:
        return "not set"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{shown(name, 60)}: {setting(str(name), each)}" for name, each in value.items()) + "}"
    return shown(value, 160)


def settings(values: dict[str, Any]) -> dict[str, str]:
    """All of them."""
    return {shown(key, 60): setting(key, value) for key, value in values.items()}


def milliseconds(nanoseconds: int) -> str:
    """A time of a run as people read it."""
    ms = nanoseconds / 1e6
    return f"{ms:.1f} ms" if ms < 1000 else f"{ms / 1000:.2f} s"


def _harmless(sign: str) -> bool:
    """Whether it is a sign that shows itself: no control, no change of direction, no lone half of one."""
    return unicodedata.category(sign) not in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")
