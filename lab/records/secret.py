"""What must not stand in evidence, which is made to be shared: values whose key or form says that they are secret.

Two ways, because a secret travels: in data it is known by its key (`VAULT_TOKEN`, `OPTIONS.sslpassword`), in a text,
such as an exception's or the server's log, by its form (`password=…`, a URL with credentials) or by being the very
value that stands under such a key in the settings or the environment.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable
from typing import Any
from urllib.parse import quote, quote_plus, unquote

MASK = "***"

KEYS = (
    r"(?i)pass(word|wd|phrase|code)?(?![a-z])|pwd|secret|token|credential|private|signature|dsn|salt|jwt|bearer"
    r"|(?<![a-z])(api|access|auth|account|client|encryption|signing|ssl|secret)?_?keys?(?![a-z])"
    r"|(database|db|redis|broker|cache|conn(ection)?)_?(url|uri|string)"
)
"""A key that contains this names a secret."""

NO_SECRETS = ("passfile", "password_validators", "auth_password_validators", "token_function")
"""Keys that contain such a word, and whose values are none."""

SHORTEST = 4
"""Characters: a shorter value is looked for by its key alone."""

LONG_LINE = 16
"""Characters of a line of a secret that has several, as a private key has, to be looked for by itself."""
CUT = 400
"""Characters: the end of a longer text may have been cut off, in the middle of a secret."""

_KEYS = re.compile(KEYS)
_URL = re.compile(r"(?P<head>[\w+.-]://[^\s:/@'\"]*:)[^\s@/'\"]+(?=@)")
_NAMES = "password|passwd|passphrase|secret|token|api_?key|credential"
_NAMED = re.compile(_NAMES, re.IGNORECASE)
"""Matches every text in which `_PAIR` or `_SQL` could match."""
_PAIR = re.compile(
    rf"(?P<head>\b\w*(?:{_NAMES})\w*['\"]?\s*(?:=|:)\s*)"
    r"(?P<value>'[^']*'|\"[^\"]*\"|[^\s,;)}\]]+)",
    re.IGNORECASE,
)
_SQL = re.compile(r"(?P<head>\bPASSWORD\s+)(?P<value>E?'(?:[^']|'')*')", re.IGNORECASE)
_PLAIN = re.compile(r"\d{1,8}|[A-Za-z]{1,5}|[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")
_WORDS = frozenset(
    (
        *("postgres", "postgresql", "password", "passwd", "secret", "changeme", "insecure", "default", "django"),
        *("localhost", "server", "database", "session", "connection", "public", "development", "production", "testing"),
    )
)
"""Small numbers, names of classes, and words that a developer's machine has for secrets: other texts have them, too."""


def is_secret(key: str) -> bool:
    """Whether what stands under that key is a secret."""
    return key.lower() not in NO_SECRETS and _KEYS.search(key) is not None


def masked(value: Any, values: Collection[str] = (), key: str = "") -> Any:
    """JSON data with MASK for each value under a secret key, however deep, and in each text; `values`: known ones."""
    if key and is_secret(key) and value not in (None, "", True, False):
        return MASK
    if isinstance(value, dict):
        return {name: masked(each, values, str(name)) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [masked(each, values) for each in value]
    return mask_text(value, values) if isinstance(value, str) else value


def mask_texts(value: Any, values: Collection[str]) -> Any:
    """JSON data with each of its texts masked, whatever its key: for what a program said."""
    if isinstance(value, dict):
        return {name: mask_texts(each, values) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [mask_texts(each, values) for each in value]
    return mask_text(value, values) if isinstance(value, str) else value


def maskable(data: str, values: Collection[str]) -> bool:
    """Whether `mask_texts` might change what this JSON text says; a quick look, as most answers hold nothing."""
    if len(data) >= CUT or "\\" in data or "://" in data or _NAMED.search(data):
        return True
    return any(value in data for value in values)  # without a backslash nothing is escaped


def mask_text(text: str, values: Iterable[str] = ()) -> str:
    """A text without the secrets that its own words show, and without the known ones."""
    cut = len(text) >= CUT
    for value in values:
        if value in text:
            text = re.sub(rf"(?<![A-Za-z0-9]){re.escape(value)}(?![A-Za-z0-9])", MASK, text)
        if cut and (begun := _begun(value, text)):
            text = text[:-begun] + MASK
    if "://" in text:
        text = _URL.sub(rf"\g<head>{MASK}", text)
    if "'" in text:
        text = _SQL.sub(rf"\g<head>{MASK}", text)
    if "=" in text or ":" in text:
        text = _PAIR.sub(rf"\g<head>{MASK}", text)
    return text


def telling(values: Iterable[str]) -> tuple[str, ...]:
    """Those that may be looked for in any text: long and unusual enough not to stand there for something else.

    In each form in which a text may have it. The longest first, so that what contains another one goes as a whole.
    """
    found = {value for value in values if len(value) >= SHORTEST and not _PLAIN.fullmatch(value)} - _WORDS
    forms = {form for value in found for form in _forms(value) if len(form) >= SHORTEST and not _PLAIN.fullmatch(form)}
    return tuple(sorted(forms - _WORDS, key=lambda value: (-len(value), value)))


def _forms(value: str) -> set[str]:
    """A value as texts have it: itself, in quotes of Python, JSON, SQL and libpq, in a URL, and line by line."""
    escaped = value.replace("\\", "\\\\")
    return {
        *(value, repr(value)[1:-1], json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]),
        *(value.replace("'", "''"), escaped.replace("'", "''"), escaped.replace("'", "\\'")),
        *(quote(value), quote(value, safe=""), quote_plus(value), unquote(value)),
        *(line.strip() for line in value.splitlines() if len(line.strip()) >= LONG_LINE and line[:5] != "-----"),
    }


def _begun(value: str, text: str) -> int:
    """How many characters of the value's beginning a text ends with, 0 if fewer than SHORTEST."""
    tail = text[-SHORTEST:]
    place = value.rfind(tail)
    while place >= 0:
        if text.endswith(value[: place + SHORTEST]):
            return place + SHORTEST
        place = value.rfind(tail, 0, place + SHORTEST - 1)
    return 0


def holes(value: Any, path: str = "") -> list[str]:
    """Where in JSON data a secret has been masked, e.g. `AAD_OPTIONS.SP_CLIENT_SECRET`."""
    if isinstance(value, dict):
        return [hole for name, each in value.items() for hole in holes(each, f"{path}.{name}" if path else name)]
    if isinstance(value, list | tuple):
        return [hole for place, each in enumerate(value) for hole in holes(each, f"{path}[{place}]")]
    return [path] if isinstance(value, str) and MASK in value else []
