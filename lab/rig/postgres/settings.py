"""What is written into a server's postgresql.conf and pg_hba.conf."""

from __future__ import annotations

from pathlib import Path

from lab.rig.machine.port import LOOPBACK

RESERVED_SLOTS = 16
"""Connection slots for superusers only: the lab's own threads get in when a fault fills the others."""

HBA = f"host all all {LOOPBACK}/32 scram-sha-256\nlocal all all scram-sha-256\n"

_SETTINGS: dict[str, str | int] = {
    "listen_addresses": LOOPBACK,
    "password_encryption": "scram-sha-256",
    "superuser_reserved_connections": RESERVED_SLOTS,
    # Durability against a power failure is not what we test; a killed server loses nothing with fsync off.
    "fsync": "off",
    # A commit that does not wait for the log is lost in a crash, also where a busy machine takes a while to come to it:
    # the log's own writer, which makes up for that five times a second by default, sleeps.
    "wal_writer_delay": "10s",
    "autovacuum": "off",
    "jit": "off",
    "shared_buffers": "16MB",
    "min_wal_size": "2MB",
    "max_wal_size": "64MB",
    # Every look at the sessions makes room for so many bytes of each slot's query, which nobody here reads.
    "track_activity_query_size": 100,
    "wal_level": "minimal",
    "max_wal_senders": 0,
    "restart_after_crash": "on",
    # Dynamic shared memory as files in the data folder: nothing stays in /dev/shm when all is killed.
    "dynamic_shared_memory_type": "mmap",
    "logging_collector": "off",
    "log_destination": "stderr",
    "log_line_prefix": "%m [%p] %quser=%u db=%d app=%a ",
    "log_connections": "on",
    "log_disconnections": "on",
    "log_checkpoints": "off",
    "log_timezone": "UTC",
    "timezone": "UTC",
    "datestyle": "iso, mdy",
    "lc_messages": "C",
    "default_text_search_config": "pg_catalog.simple",
}


def of(major: int, max_connections: int) -> dict[str, str | int]:
    """What every server of `major` version is told, wherever it runs."""
    settings = {**_SETTINGS, "max_connections": max_connections}
    if major >= 16:
        # The cost of a password check, which is not what we test: 2-3 ms a connect instead of 10.
        settings["scram_iterations"] = 1
    return settings


def write(data: Path, port: int, max_connections: int, major: int, *, unix_socket: bool = False) -> None:
    """Write both files into the data folder of a server of `major` version; ALTER SYSTEM stays free for faults.

    With `unix_socket` it listens in its data folder as well.
    """
    sockets = str(data) if unix_socket else ""
    settings = {**of(major, max_connections), "port": port, "unix_socket_directories": sockets}
    text = "".join(f"{name} = '{value}'\n" for name, value in settings.items())
    (data / "postgresql.conf").write_text(text, encoding="ascii")
    (data / "pg_hba.conf").write_text(HBA, encoding="ascii")


def without(text: str, name: str) -> str:
    """A settings file's text with the lines of one setting left out."""
    lines = text.splitlines(keepends=True)
    return "".join(line for line in lines if line.split("=")[0].strip() != name)
