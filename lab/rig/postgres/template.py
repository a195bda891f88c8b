"""The data folder that every lab's server starts from: initdb and template.sql, run once and cached."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from pathlib import Path
from typing import Any

from lab.rig.machine import cache, port, process
from lab.rig.machine.process import Home, Identity
from lab.rig.postgres import settings
from lab.rig.postgres.binaries import Binaries
from lab.rig.postgres.connection import OwnConnection, connect
from lab.rig.postgres.postmaster import Installation, Postmaster

SUPERUSER = "postgres"
DATABASES = ("lab", "lab2")
SQL = Path(__file__).with_name("template.sql")
RECIPE = 1
"""Raise it when this file changes what a template holds."""

_INITDB = ("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions", "--wal-segsize=1")
_MAX_CONNECTIONS = 20


def key(binaries: Binaries, identity: Identity | None) -> str:
    """The template's name in the cache: another server, recipe or user is another template."""
    uid = os.getuid() if identity is None else identity.uid
    recipe = f"{RECIPE} {binaries.bindir} {_INITDB}".encode() + SQL.read_bytes()
    return f"template-{binaries.version}-u{uid}-{hashlib.sha256(recipe).hexdigest()[:12]}"


def ensure(binaries: Binaries, identity: Identity | None, home: Home, name: str) -> Path:
    """Return the template `name` (see `key`): a folder with `data` and the superuser's first `password`.

    Built when absent (2-3 s), in the lab's own folder, where the unprivileged user of a root lab can work.
    """

    def build(stage: Path) -> None:
        cache.prune("template-")  # old ones go when a new one comes: a start need not look for them
        data = home.folder / "template"
        try:
            password = _initdb(binaries, identity, home, data)
            _fill(Installation(binaries, data, home, identity, home.folder / "template.log"), password)
            # Also half the start: one fresh megabyte of WAL instead of sixteen used ones. Small installations lack it.
            if (binaries.bindir / "pg_resetwal").exists():
                process.run([str(binaries.bindir / "pg_resetwal"), "-D", str(data)], home, identity)
            copy_tree(data, stage / "data", home)
            write_private(stage / "password", password)
        finally:
            shutil.rmtree(data, ignore_errors=True)

    return cache.publish(name, build, owner=home.lab_id)


def copy_tree(source: Path, target: Path, home: Home) -> None:
    """Copy a folder with owners and modes: `cp` takes a third of the time of shutil and shares blocks where it can."""
    process.run(["cp", "-a", str(source), str(target)], home)


def write_private(path: Path, text: str, identity: Identity | None = None) -> None:
    """Write a file that only its owner can read, from its first byte on."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        if identity is not None:
            os.fchown(file.fileno(), identity.uid, identity.gid)
        file.write(text)


def _initdb(binaries: Binaries, identity: Identity | None, home: Home, data: Path) -> str:
    password, secret = secrets.token_urlsafe(16), home.folder / "initdb.password"
    data.mkdir(mode=0o700)
    if identity is not None:
        os.chown(data, identity.uid, identity.gid)
    write_private(secret, password, identity)
    # Checksums became the default in 18; they cost time and guard against what we do not test.
    extra = ["--no-data-checksums"] if binaries.major >= 18 else []
    try:
        argv = [binaries.initdb, "-D", str(data), "-U", SUPERUSER, f"--pwfile={secret}", *_INITDB, *extra]
        process.run(argv, home, identity)
    finally:
        secret.unlink()
    return password


def _fill(installation: Installation, password: str) -> None:
    with port.reserve() as reserved:
        settings.write(installation.data, reserved.number, _MAX_CONNECTIONS, installation.binaries.major)
        postmaster = Postmaster(installation)
        postmaster.start()
        try:
            _run_sql(reserved.number, password)
        finally:
            postmaster.stop("fast")


def fill(host: str, number: int, password: str) -> None:
    """Make both databases and what is in them, on a server that has neither."""
    first, second = DATABASES
    with _connect(host, number, password, "template1") as connection:
        connection.execute(f"CREATE DATABASE {first}")
    with _connect(host, number, password, first) as connection:
        connection.execute(SQL.read_bytes())
    with _connect(host, number, password, "template1") as connection:
        connection.execute(f"CREATE DATABASE {second} TEMPLATE {first}")


def clear(host: str, number: int, password: str) -> None:
    """Take away what `fill` has made, whoever is connected to it, and cheapen password checks where that can be set."""
    with _connect(host, number, password, "template1") as connection:
        connection.execute("SET default_transaction_read_only = off")  # a lab that was killed may have left it on
        connection.execute("ALTER SYSTEM RESET ALL")
        for name in DATABASES:
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        roles = connection.execute(r"SELECT rolname FROM pg_roles WHERE rolname LIKE 'lab\_%'").fetchall()
        for (role,) in roles:
            connection.execute(f"DROP ROLE {role}")
        if connection.info.server_version >= 160000:
            connection.execute("ALTER SYSTEM SET scram_iterations = 1")
        connection.execute("SELECT pg_reload_conf()")


def _run_sql(number: int, password: str) -> None:
    fill(port.LOOPBACK, number, password)
    with _connect(port.LOOPBACK, number, password, "template1") as connection:
        # Every lab copies what stays here: two databases less is half the start.
        connection.execute("ALTER DATABASE template0 IS_TEMPLATE false")
        connection.execute("DROP DATABASE template0")
        connection.execute("DROP DATABASE postgres")


def _connect(host: str, number: int, password: str, database: str) -> OwnConnection:
    address: dict[str, Any] = {"host": host, "port": number, "user": SUPERUSER, "password": password}
    extra: dict[str, Any] = {"options": "", "sslmode": "disable", "gssencmode": "disable"}
    return connect(dbname=database, **address, **extra)
