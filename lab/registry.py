"""A registry finds plug-ins by name: one module each in one package, imported on first use."""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import pkgutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Generic, TypeVar

from lab.errors import UnknownName

T = TypeVar("T")


def beside(name: str) -> ModuleType:
    """A module of a package that lies beside `lab`, whatever else of that name a project has on the path."""
    top = name.partition(".")[0]
    if top not in sys.modules:
        spec = importlib.machinery.PathFinder.find_spec(top, [str(Path(__file__).resolve().parents[1])])
        if spec is not None and spec.loader is not None:
            sys.modules[top] = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(sys.modules[top])
    return importlib.import_module(name)


class Registry(Generic[T]):
    """Names to plug-ins of one kind, from all modules below `package`, which is named and never imported statically."""

    def __init__(self, noun: str, package: str) -> None:
        self._noun = noun
        self._package = package
        self._items: dict[str, T] = {}
        self._loaded = False

    def add(self, name: str, item: T) -> None:
        """Register `item`; a name can be taken once."""
        if name in self._items:
            raise ValueError(f"two {self._noun}s are called {name!r}")
        self._items[name] = item

    def get(self, name: str) -> T:
        """The plug-in of that name; raises UnknownName with the names that there are."""
        self._load()
        try:
            return self._items[name]
        except KeyError:
            known = ", ".join(sorted(self._items))
            raise UnknownName(f"there is no {self._noun} {name!r}", f"known: {known}") from None

    def __iter__(self) -> Iterator[str]:
        self._load()
        return iter(sorted(self._items))

    def values(self) -> list[T]:
        """All plug-ins, in the order of their names."""
        return [self.get(name) for name in self]

    def _load(self) -> None:
        if self._loaded:
            return
        package = beside(self._package)
        for module in pkgutil.walk_packages(package.__path__, f"{self._package}."):
            importlib.import_module(module.name)
        self._loaded = True
