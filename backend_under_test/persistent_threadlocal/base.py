"""ENGINE = "backend_under_test.persistent_threadlocal"."""

from typing import ClassVar

from backend_under_test.persistent_core.holder import Holder, ThreadHolder
from backend_under_test.persistent_core.wrapper import PersistentWrapper


class DatabaseWrapper(PersistentWrapper):
    """Keeps one session per thread and alias, as many as there were requests in flight at once."""

    holder: ClassVar[Holder] = ThreadHolder()
