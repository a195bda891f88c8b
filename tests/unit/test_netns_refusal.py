from __future__ import annotations

import errno
from pathlib import Path

import pytest

from lab.errors import ServerNotReady
from lab.rig import capabilities
from lab.rig.machine import route
from lab.rig.netns import namespace

MOUNTED = "22 1 0:20 / / rw - ext4 /dev/root rw"
DENIED = OSError(errno.EPERM, "unshare: Operation not permitted")


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What an ordinary user reads of the system, by the file's path."""
    files = {"/proc/self/mountinfo": MOUNTED, "/proc/self/status": "Seccomp:\t0"}

    def read(path: Path) -> str | None:
        return files.get(str(path))

    monkeypatch.setattr(namespace, "_read", read)
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    return files


@pytest.mark.parametrize(
    ("path", "value", "helps"),
    [
        ("kernel/unprivileged_userns_clone", "0", "sysctl kernel.unprivileged_userns_clone=1"),
        ("kernel/apparmor_restrict_unprivileged_userns", "1", "sysctl kernel.apparmor_restrict_unprivileged_userns=0"),
        ("user/max_user_namespaces", "0", "sysctl user.max_user_namespaces=15000"),
    ],
)
def test_switch_of_a_distribution_is_named(system: dict[str, str], path: str, value: str, helps: str) -> None:
    system[f"/proc/sys/{path}"] = value
    refusal = namespace._refused(DENIED)
    assert helps in refusal.remedy
    assert f"={value}" in refusal.message


def test_chroot_and_container_are_told_apart(system: dict[str, str]) -> None:
    system["/proc/self/mountinfo"] = "22 1 0:20 / /proc rw - proc proc rw"
    assert "in a chroot" in namespace._refused(DENIED).message
    system["/proc/self/mountinfo"] = MOUNTED
    system["/proc/self/status"] = "Name:\tpython\nSeccomp:\t2\nThreads:\t1"
    assert "a container's filter" in namespace._refused(DENIED).message
    assert "--rig docker" in namespace._refused(DENIED).remedy


def test_refusal_without_a_known_reason_says_what_the_kernel_said(system: dict[str, str]) -> None:
    assert str(namespace._refused(DENIED)).startswith("no network namespace: unshare: Operation not permitted; ")


def test_way_to_another_machine_is_refused() -> None:
    route.require_loopback("127.0.0.1")
    with pytest.raises(ServerNotReady, match=r"192\.0\.2\.1"):
        route.require_loopback("192.0.2.1")


def test_remedy_names_the_rigs_that_have_it() -> None:
    assert capabilities.remedy({"loss", "restart"}) == "use --rig netns"
    assert capabilities.remedy({"restart"}) == "use --rig embedded or netns or docker"
    assert capabilities.remedy({"teleport"}) == "no rig has all of it"
