"""The variant's configuration inside the subject: import path, driver, settings, and what the ENGINE replaces."""

from __future__ import annotations

import importlib
import os
import platform
import re
import sys
from collections.abc import Mapping
from typing import Any

PLACEHOLDER = {"HOST": "127.0.0.1", "PORT": "1", "NAME": "lab", "USER": "lab", "PASSWORD": "lab"}
WHERE = ("host", "hostaddr", "port", "user", "password", "dbname", "service", "servicefile", "passfile")
WHERE_TLS = (
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "sslpassword",
    "sslcrl",
    "sslnegotiation",
    "channel_binding",
    "gssencmode",
)
"""OPTIONS that say where the server is and how to prove who one is: the lab's own server has neither TLS nor GSS."""


CREDENTIALS = re.compile(r"[A-Za-z][\w+.-]*://[^\s:/@]*:([^\s@/]+)@")
NO_SECRETS = ("AUTH_PASSWORD_VALIDATORS", "PASSWORD_HASHERS", "CSRF_COOKIE_NAME")
LONGEST_SECRET, MOST_SECRETS = 400, 100
"""Characters, and how many: all of them are one message."""


class Refused(Exception):
    """This configuration cannot run; the text is one line for the person who gave it."""


def prepare_process(config: dict[str, Any]) -> None:
    """Import path, environment and driver, before anything of Django is imported."""
    for name in [name for name in os.environ if name.startswith("PG")]:
        del os.environ[name]
    os.environ.update(PGSSLMODE="disable", PGGSSENCMODE="disable", PGPASSFILE=os.devnull)
    sys.path[:1] = list(config["path"])  # the first entry was this script's own folder
    sys.path.append(config["root"])
    driver = config["driver"]
    if driver == "psycopg2":
        sys.modules["psycopg"] = None  # type: ignore[assignment]  # Django prefers psycopg where it can import it
    try:
        importlib.import_module(driver)
    except ImportError as error:
        raise Refused(f"driver {driver} does not import under {sys.executable}: {error}") from None


def database(config: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any], list[str]]:
    """DATABASES[alias] with the server's address left open, other settings that matter to it, and notes."""
    notes: list[str] = []
    base: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    if config["module"]:
        base, extra = _from_module(config["module"], config["alias"])
        base.pop("TEST", None)
    if config["engine"] or "ENGINE" not in base:
        base["ENGINE"] = config["engine"]
    options = {**base.get("OPTIONS", {}), **config["options"]}
    for key in WHERE + WHERE_TLS:
        if key in options:
            del options[key]
            notes.append(f"OPTIONS[{key!r}] is replaced: it says where the server is")
    base.update(config["settings"])
    base.update(PLACEHOLDER, OPTIONS=options)
    return base, extra, notes


def _from_module(name: str, alias: str) -> tuple[dict[str, Any], dict[str, Any]]:
    try:
        module = importlib.import_module(name)
    except Exception as error:
        raise Refused(f"settings module {name} does not import: {type(error).__name__}: {error}") from None
    databases = getattr(module, "DATABASES", None)
    if not isinstance(databases, dict) or alias not in databases:
        known = ", ".join(databases) if isinstance(databases, dict) else "no DATABASES at all"
        raise Refused(f"settings module {name} has no database {alias!r} (it has {known})")
    extra = {key: getattr(module, key) for key in ("TIME_ZONE", "USE_TZ") if hasattr(module, key)}
    return dict(databases[alias]), extra


def configure(database: dict[str, Any], extra: dict[str, Any]) -> Any:
    """Configure Django and import the ENGINE; returns its DatabaseWrapper class."""
    import django
    from django.conf import settings
    from django.db.utils import load_backend

    settings.configure(
        **{"USE_TZ": True, "TIME_ZONE": "UTC", **extra},
        DATABASES={"default": database},
        INSTALLED_APPS=[],
        LOGGING_CONFIG=None,
        SECRET_KEY="the lab serves no pages",  # noqa: S106 - Django wants one
    )
    django.setup()
    engine = database["ENGINE"]
    try:
        wrapper = getattr(load_backend(engine), "DatabaseWrapper", None)
    except Exception as error:
        first = error.__cause__ or error  # Django wraps the ImportError in advice about its own backends
        text = str(first).split("\n")[0]
        raise Refused(f"ENGINE {engine} does not import: {type(first).__name__}: {text}") from None
    if wrapper is None:
        raise Refused(f"ENGINE {engine} has no DatabaseWrapper in its base module")
    if getattr(wrapper, "vendor", "") != "postgresql":
        raise Refused(
            f"ENGINE {engine} is for {getattr(wrapper, 'vendor', 'an unnamed server')}, the lab runs PostgreSQL"
        )
    return wrapper


def traits(wrapper: Any, database: dict[str, Any], driver: str, notes: list[str]) -> dict[str, Any]:
    """What the lab wants to know of a variant before it runs a plan."""
    import django
    from django.db.backends.postgresql.base import DatabaseWrapper as Stock

    module = importlib.import_module(driver)
    names = [name for name in dir(Stock) if callable(getattr(Stock, name)) and not name.startswith("__")]
    overrides = [name for name in names if getattr(wrapper, name, None) is not getattr(Stock, name)]
    pool = database["OPTIONS"].get("pool")
    pool_max = (pool.get("max_size") or pool.get("min_size", 4)) if isinstance(pool, dict) else 4 if pool else 0
    return {
        "versions": {
            "python": platform.python_version(),
            "django": django.get_version(),
            driver: module.__version__.split(" ")[0],
        },
        "settings": {
            key: plain(value) for key, value in sorted(database.items()) if key not in PLACEHOLDER and key != "ENGINE"
        },
        "conn_max_age": database.get("CONN_MAX_AGE", 0),
        "health_checks": bool(database.get("CONN_HEALTH_CHECKS", False)),
        "autocommit": bool(database.get("AUTOCOMMIT", True)),
        "pool_max": pool_max,
        "overrides": sorted(overrides),
        "notes": notes,
    }


def plain(value: Any) -> Any:
    """A setting as JSON data: each value that is none for itself as text."""
    if isinstance(value, Mapping):
        return {str(name): plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(each) for each in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, type) or callable(value):
        return f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', type(value).__name__)}"
    return repr(value)


def secrets(pattern: str) -> list[str]:
    """The values in the settings and in the environment whose key says that they are secret: not to be repeated."""
    from django.conf import settings

    found: dict[str, None] = {}
    keys = re.compile(pattern)

    def walk(value: Any, secret: bool) -> None:
        if isinstance(value, Mapping):
            for name, each in value.items():
                walk(each, secret or keys.search(str(name)) is not None)
        elif isinstance(value, list | tuple):
            for each in value:
                walk(each, secret)
        elif isinstance(value, str | bytes):
            text = value.decode(errors="replace") if isinstance(value, bytes) else value
            if secret:
                found[text] = None
            found.update(dict.fromkeys(CREDENTIALS.findall(text)))

    for name in dir(settings) if settings.configured else ():
        if name.isupper() and name not in NO_SECRETS:
            walk({name: getattr(settings, name, None)}, False)
    walk(dict(os.environ), False)
    return [text for text in found if len(text) <= LONGEST_SECRET][:MOST_SECRETS]
