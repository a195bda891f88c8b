"""The variant's configuration inside the subject: a project as Django loads it, with another server under it."""

from __future__ import annotations

import contextlib
import importlib
import importlib.machinery
import json
import os
import platform
import re
import sys
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from connection_lab_inside import resets
from connection_lab_inside.threads import others

SERVER = ("HOST", "PORT", "NAME", "USER", "PASSWORD")
PLACEHOLDER = {"HOST": "127.0.0.1", "PORT": "1", "NAME": "lab", "USER": "lab", "PASSWORD": "lab"}
DOWN = '127.0.0.1", port 1 failed'
"""How libpq says that the placeholder does not answer."""
WHERE = ("host", "hostaddr", "port", "user", "password", "dbname", "service", "servicefile", "passfile")
PROOF = (
    *("sslmode", "sslrootcert", "sslcert", "sslkey", "sslpassword", "sslcertmode", "sslcrl", "sslcrldir", "sslsni"),
    *("sslnegotiation", "sslcompression", "ssl_min_protocol_version", "ssl_max_protocol_version", "channel_binding"),
    *("gssencmode", "gsslib", "gssdelegation", "krbsrvname", "requirepeer", "require_auth", "requiressl"),
)
OPTIONS_REPLACED = {
    **dict.fromkeys(WHERE, "it says where the server is and who one is there"),
    **dict.fromkeys(PROOF, "the lab's own server has neither TLS nor GSS"),
    "application_name": "the lab tells its sessions apart by it",
}
ROLE = "lab_other"
"""A role of the lab's server that every plan's users may SET."""

ROLE_OPTION = re.compile(r"(-c\s*|--)(role|session_authorization)\s*=\s*(?P<role>\S+)")
OTHER_SERVERS = ("mysql", "oracle", "sqlite3", "sqlite", "mariadb", "mssql")
NUMBERS = ("CONN_MAX_AGE",)
FLAGS = ("CONN_HEALTH_CHECKS", "AUTOCOMMIT", "ATOMIC_REQUESTS", "DISABLE_SERVER_SIDE_CURSORS")
OURS = ("", "django", "psycopg", "psycopg2", "psycopg_pool", "connection_lab_inside")
"""Packages whose calls in a forked process are no doing of a project's."""
CREDENTIALS = re.compile(r"[\w+.-]://[^\s:/@]*:([^\s@/]+)@")
"""In a URL. Of its scheme the last letter is enough: a search for all of one takes minutes in a long value without."""
LIBRARY = re.compile(
    r"cannot open shared object file|Could not find the \w+ library|DLL load failed|\.so\b", re.IGNORECASE
)
"""How ctypes, the loader and GeoDjango say that a library of the system is missing."""
CORRECT = "correct it in the settings module, or lay another value on it with --setting"
PLACE = "give --alias for a database on PostgreSQL, or name another ENGINE"
NO_SECRETS = ("AUTH_PASSWORD_VALIDATORS", "PASSWORD_HASHERS", "CSRF_COOKIE_NAME", "PWD", "OLDPWD")
"""Settings, and variables of the environment: a shell's working folder is in half of all paths."""
LONGEST_SECRETS = 32_000
"""Bytes of all of them: they are one message. A key or a signed token has some 2,000."""
GIVEN = ("PGDATABASE", "PGHOST", "PGPASSWORD", "PGPORT", "PGUSER")
"""Variables whose place is taken by what Django hands to the driver."""


class Refused(Exception):
    """This configuration cannot run: one line for the person who gave it, and what to do where that is known."""

    def __init__(self, said: str, remedy: str = "") -> None:
        super().__init__(said)
        self.remedy = remedy


@dataclass
class Loaded:
    """A variant that has been loaded: which alias is judged, its database, and what there is to say about it."""

    alias: str
    database: dict[str, Any]
    wrapper: Any = None
    notes: list[str] = field(default_factory=list)


_in_child: list[Any] = []
"""What was given to os.register_at_fork() to be called in a forked process."""
_said: list[Any] = []
"""What the project's DATABASES are before the lab lays its own server under them."""


class _Bundled:
    """Finds the lab's own backends, and nothing else of the folder in which they are."""

    def __init__(self, root: str) -> None:
        self._root = root

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name != "backend_under_test":
            return None
        return importlib.machinery.PathFinder.find_spec(name, [self._root])


def prepare_process(config: dict[str, Any], notes: list[str]) -> None:
    """Folder, import path and driver, before anything of the project is imported."""
    _listen_to_forks()
    if (theirs := sorted(name for name in os.environ if name.startswith("PG"))) and config["module"]:
        notes.append(f"{', '.join(theirs)} of the environment: for the settings to read, the server is the lab's")
    if config["folder"]:
        os.chdir(config["folder"])
    sys.path[:0] = list(config["path"])
    sys.meta_path.append(_Bundled(config["root"]))
    driver = config["driver"]
    choose(driver)
    try:
        importlib.import_module(driver)
    except ImportError as error:
        raise Refused(f"driver {driver} does not import under {sys.executable}: {error}") from None


def choose(driver: str) -> None:
    """Django prefers psycopg where it can import it."""
    if driver == "psycopg2":
        sys.modules["psycopg"] = None  # type: ignore[assignment]


def _listen_to_forks() -> None:
    """Note what the project wants to be called in a forked process: Python does not tell it later."""
    register = os.register_at_fork

    def noting(**hooks: Any) -> None:
        register(**hooks)
        if "after_in_child" in hooks:
            _in_child.append(hooks["after_in_child"])

    os.register_at_fork = noting


def hide_servers() -> None:
    """Keep libpq from the caller's servers, once all that reads the environment on import has been imported.

    What Django gives with each connection stays there for Python alone: code that asks for it finds it.
    """
    for name in [name for name in os.environ if name.startswith("PG")]:
        if name in GIVEN:
            os.unsetenv(name)
        else:
            del os.environ[name]
    os.environ.update(PGSSLMODE="disable", PGGSSENCMODE="disable", PGPASSFILE=os.devnull)


def load(config: dict[str, Any], notes: list[str]) -> Loaded:
    """Load the project, or only what was given of one, and its ENGINE; the server's address is left open."""
    whole = config["module"] and not config["bare"]
    loaded = _project(config, notes) if whole else _alone(config, notes)
    _check_values(loaded.database)
    engine = loaded.database["ENGINE"]
    if engine.rpartition(".")[2] in OTHER_SERVERS and (not engine.count(".") or engine.startswith("django.db.")):
        raise Refused(f"ENGINE {engine} is for another database, the lab runs PostgreSQL", PLACE)
    import django

    try:
        django.setup()
        if whole:
            from django.db import router

            _ = router.routers  # a router that does not import is found out now, as with the first query of a project
    except Exception as error:
        said = f"the apps of {config['module']} do not load: {_first_line(error)}"
        if DOWN in str(error):
            early = "let it load without, as it must where the database is down"
            raise Refused(f"{said} (its own database, which is not there while it loads)", early) from None
        raise Refused(said, _remedy(error)) from None
    loaded.wrapper = _wrapper(engine)
    loaded.notes += [*_patches(), *_threads()]
    return loaded


def _project(config: dict[str, Any], notes: list[str]) -> Loaded:
    """As manage.py and wsgi.py load one: django.conf.settings is the module, changed where the servers are."""
    module, alias = config["module"], config["alias"]
    os.environ["DJANGO_SETTINGS_MODULE"] = module
    from django.conf import settings

    try:
        if name := os.environ.get("DJANGO_CONFIGURATION"):
            importlib.import_module("configurations.importer").install()
            notes.append(f"DJANGO_CONFIGURATION: {name}")
        databases = settings.DATABASES
    except (Exception, SystemExit) as error:
        raise Refused(f"settings module {module} does not import: {_first_line(error)}", _remedy(error)) from None
    _look_up(module, databases, alias)
    others = {name: _elsewhere(name, dict(each), notes) for name, each in databases.items() if name != alias}
    database = _with_given(dict(databases[alias]), config, notes)
    if "default" not in databases:
        notes.append("DATABASES has no 'default': a dummy stands for it, because Django wants one")
        others["default"] = {"ENGINE": "django.db.backends.dummy"}
    use(settings, {**others, alias: database})
    if settings.LOGGING_CONFIG and settings.LOGGING:
        notes.append("LOGGING: not applied, the project's log files are its own")
    settings.LOGGING_CONFIG = None
    if settings.DATABASE_ROUTERS:
        notes.append("DATABASE_ROUTERS: loaded, but each of the lab's requests names its alias itself")
    return Loaded(alias, database, notes=notes)


def _look_up(module: str, databases: Any, alias: str) -> None:
    """See that the alias is a database that can be judged, and keep what it says for `secrets`."""
    _said.append(databases)
    if not isinstance(databases, Mapping):
        found = f"DATABASES is a {type(databases).__name__}" if databases else "it has no DATABASES at all"
        raise Refused(f"settings module {module} has no database {alias!r} ({found})")
    if alias not in databases:
        known = ", ".join(map(str, databases)) or "no DATABASES at all"
        raise Refused(f"settings module {module} has no database {alias!r} (it has {known})")
    database = databases[alias]
    if not isinstance(database, Mapping):
        raise Refused(
            f"DATABASES[{alias!r}] of {module} is a {type(database).__name__}, where Django wants a dictionary",
            "correct it in the settings module",
        )
    if not database.get("ENGINE"):
        others = ", ".join(str(name) for name in databases if name != alias) or "none"
        raise Refused(
            f"DATABASES[{alias!r}] of {module} has no ENGINE; for another of its aliases ({others}) give --alias"
        )
    if not isinstance(options := database.get("OPTIONS") or {}, Mapping):
        raise Refused(
            f"OPTIONS of DATABASES[{alias!r}] is a {type(options).__name__}, where Django wants a dictionary",
            "correct it in the settings module",
        )


def use(settings: Any, databases: dict[str, dict[str, Any]]) -> None:
    """Let Django have these very dictionaries; a settings object that keeps copies (dynaconf's) has them besides."""
    from django.db import connections

    settings.DATABASES = databases
    connections.settings = connections.configure_settings(databases)


def in_use() -> list[dict[str, Any]]:
    """The dictionaries of all databases that Django or the settings object has, each once."""
    from django.conf import settings
    from django.db import connections

    found = [*connections.settings.values(), *settings.DATABASES.values()]
    return list({id(database): database for database in found}.values())


def _alone(config: dict[str, Any], notes: list[str]) -> Loaded:
    """An ENGINE with its settings, or DATABASES[alias] of a module and nothing else of it."""
    base: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    if name := config["module"]:
        try:
            module = importlib.import_module(name)
        except (Exception, SystemExit) as error:
            raise Refused(f"settings module {name} does not import: {_first_line(error)}", _remedy(error)) from None
        databases = getattr(module, "DATABASES", None)
        _look_up(name, databases, config["alias"])
        base = dict(databases[config["alias"]])  # type: ignore[index]
        extra = {key: getattr(module, key) for key in ("TIME_ZONE", "USE_TZ") if hasattr(module, key)}
        notes.append("--bare: nothing of the module but DATABASES, TIME_ZONE and USE_TZ; no app is loaded")
    database = _with_given(base, config, notes)
    from django.conf import settings

    settings.configure(
        **{"USE_TZ": True, "TIME_ZONE": "UTC", **extra},
        DATABASES={"default": database},
        INSTALLED_APPS=[],
        LOGGING_CONFIG=None,
        SECRET_KEY="the lab serves no pages",  # noqa: S106 - Django wants one
    )
    return Loaded("default", database, notes=notes)


def _with_given(base: dict[str, Any], config: dict[str, Any], notes: list[str]) -> dict[str, Any]:
    """The database as it is judged: what a command line gives is laid on it, and the server is the lab's."""
    if base.pop("TEST", None):
        notes.append("TEST: not used, the lab's test database has a name of its own and no tables of the project's")
    if config["engine"] or "ENGINE" not in base:
        base["ENGINE"] = config["engine"]
    resets.ALIAS = config["alias"]
    options = {**dict(base.get("OPTIONS") or {}), **_imported(config["options"])}
    replaced: dict[str, list[str]] = {}
    for key, why in OPTIONS_REPLACED.items():
        if options.pop(key, None) is not None:
            replaced.setdefault(why, []).append(key)
    notes += [f"{', '.join(keys)} in OPTIONS: replaced, {why}" for why, keys in replaced.items()]
    if options.get("assume_role") not in (None, ROLE):
        notes.append(f"OPTIONS['assume_role']: the lab's server has a role {ROLE!r} for it")
        options["assume_role"] = ROLE
    if (found := ROLE_OPTION.search(str(options.get("options") or ""))) and found["role"] != ROLE:
        notes.append(f"role in OPTIONS['options']: the lab's server has a role {ROLE!r} for it")
        options["options"] = ROLE_OPTION.sub(f"-c role={ROLE}", options["options"])
    base.update(config["settings"])
    if own := [key for key in SERVER if base.get(key)]:
        notes.append(f"{', '.join(own)}: replaced, the server is the lab's")
    base.update(PLACEHOLDER, OPTIONS=options)
    return base


def _imported(value: Any) -> Any:
    """Options as a command line gives them, where "import:package.name" stands for what it names."""
    if isinstance(value, Mapping):
        return {name: _imported(each) for name, each in value.items()}
    if not (isinstance(value, str) and value.startswith("import:")):
        return value
    from django.utils.module_loading import import_string

    try:
        return import_string(value.removeprefix("import:"))
    except Exception as error:
        raise Refused(f"option {value} does not import: {_first_line(error)}") from None


def _elsewhere(name: str, database: dict[str, Any], notes: list[str]) -> dict[str, Any]:
    """An alias that is not judged: nothing of it may be touched outside the lab either."""
    engine = str(database.get("ENGINE", ""))
    if engine.endswith("sqlite3"):
        notes.append(f"DATABASES[{name!r}]: not judged, in memory")
        return {**database, "NAME": ":memory:"}
    notes.append(f"DATABASES[{name!r}]: not judged, on the lab's server")
    options = {key: value for key, value in dict(database.get("OPTIONS") or {}).items() if key not in OPTIONS_REPLACED}
    return {**database, **PLACEHOLDER, "OPTIONS": options}


def _check_values(database: dict[str, Any]) -> None:
    """Texts where Django wants something else, as an environment variable gives them."""
    for key in NUMBERS:
        value = database.get(key, 0)
        if value is not None and not isinstance(value, int | float):
            raise Refused(
                f"{key} is {value!r}, where Django wants a number or None: every connect fails at adding to it", CORRECT
            )
    for key in FLAGS:
        if isinstance(value := database.get(key), str):
            raise Refused(
                f"{key} is the text {value!r}, which Django takes for {bool(value)}: give True or False", CORRECT
            )


def _wrapper(engine: str) -> Any:
    """The ENGINE's DatabaseWrapper class."""
    from django.db.utils import load_backend

    try:
        wrapper = getattr(load_backend(engine), "DatabaseWrapper", None)
    except Exception as error:
        first = error.__cause__ or error  # Django wraps the ImportError in advice about its own backends
        raise Refused(f"ENGINE {engine} does not import: {_first_line(first)}", _remedy(first)) from None
    if wrapper is None:
        raise Refused(f"ENGINE {engine} has no DatabaseWrapper in its base module", "name the package of a backend")
    if getattr(wrapper, "vendor", "") != "postgresql":
        raise Refused(
            f"ENGINE {engine} is for {getattr(wrapper, 'vendor', 'an unnamed server')}, the lab runs PostgreSQL", PLACE
        )
    return wrapper


def patched() -> dict[str, str]:
    """Methods of Django's own backend that something else has replaced in place, and which module it was."""
    from django.db.backends.postgresql.base import DatabaseWrapper as Stock

    found = {name: getattr(getattr(Stock, name), "__module__", "") for name in _methods(Stock)}
    return {name: module for name, module in found.items() if module and module.partition(".")[0] != "django"}


def receivers() -> list[str]:
    """What of the project's listens to the signals by which Django opens, sets up and closes connections, and what of
    it runs in a forked process.
    """
    from django.core.signals import got_request_exception, request_finished, request_started
    from django.db.backends.signals import connection_created

    found = [_named(each) for each in _in_child if _top(each) not in (*sys.stdlib_module_names, *OURS)]
    for signal in (connection_created, request_started, request_finished, got_request_exception):
        for _, receiver, *_ in signal.receivers:
            target = receiver() if isinstance(receiver, weakref.ref) else receiver
            if _top(target) not in ("django", ""):
                found.append(_named(target))
    return sorted(set(found))


def _top(target: Any) -> str:
    """The top-level package that it belongs to, "" where that is not known."""
    return (getattr(target, "__module__", "") or "").partition(".")[0]


def _named(target: Any) -> str:
    return f"{target.__module__}.{getattr(target, '__qualname__', type(target).__name__)}"


def _patches() -> list[str]:
    return [f"Django's {name}() was replaced by {module}" for name, module in patched().items()]


def _threads() -> list[str]:
    """What a plan's process, which is forked, has not got of the project's."""
    names = ", ".join(others())
    return [f"threads that were started while it loaded ({names}): not in a request's process"] if names else []


def _methods(cls: Any) -> list[str]:
    return [name for name in dir(cls) if callable(getattr(cls, name)) and not name.startswith("__")]


def _first_line(error: BaseException) -> str:
    text = str(error).strip().split("\n")[0]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _remedy(error: BaseException) -> str:
    """What to do where the project's own code cannot be loaded; "" for a module that is missing: the lab knows more."""
    if LIBRARY.search(str(error)):
        return "install that library, or name settings that need none"
    if isinstance(error, ImportError):
        return ""
    if isinstance(error, SystemExit):
        return "run it by itself to see why it ends Python"
    if isinstance(error, KeyError) or type(error).__name__ == "ImproperlyConfigured":
        return "give what it needs, e.g. in the environment of this command"
    return "see what `manage.py check` says in the same folder and environment"


def traits(loaded: Loaded, driver: str) -> dict[str, Any]:
    """What the lab wants to know of a variant before it runs a plan."""
    import django
    from django.conf import settings
    from django.db.backends.postgresql.base import DatabaseWrapper as Stock

    module = importlib.import_module(driver)
    wrapper, database = loaded.wrapper, loaded.database
    overrides = {name for name in _methods(Stock) if getattr(wrapper, name, None) is not getattr(Stock, name)}
    pool = database["OPTIONS"].get("pool")
    pool_max = (pool.get("max_size") or pool.get("min_size", 4)) if isinstance(pool, Mapping) else 4 if pool else 0
    return {
        "versions": {
            "python": platform.python_version(),
            "django": django.get_version(),
            driver: module.__version__.split(" ")[0],
        },
        "settings": {
            key: plain(value) for key, value in sorted(database.items()) if key not in PLACEHOLDER and key != "ENGINE"
        },
        "conn_max_age": None if (age := database.get("CONN_MAX_AGE", 0)) is None else float(age),
        "health_checks": bool(database.get("CONN_HEALTH_CHECKS", False)),
        "autocommit": bool(database.get("AUTOCOMMIT", True)),
        "atomic_requests": bool(database.get("ATOMIC_REQUESTS", False)),
        "receivers": receivers(),
        "use_tz": bool(settings.USE_TZ),
        "pool_max": pool_max,
        "overrides": sorted(overrides | patched().keys()),
        "notes": loaded.notes,
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

    walk(_said, False)
    walk({name: value for name, value in os.environ.items() if name not in NO_SECRETS}, False)
    for name in dir(settings) if settings.configured else ():
        if name.isupper() and name not in NO_SECRETS:
            with contextlib.suppress(Exception):  # Django raises for an empty SECRET_KEY
                walk({name: getattr(settings, name)}, False)
    kept, left = [], LONGEST_SECRETS
    for text in found:
        if (size := len(json.dumps(text))) <= left:
            kept.append(text)
            left -= size
    return kept
