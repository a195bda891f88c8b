"""ENGINE = "backend_under_test.persistent_global"."""

from typing import ClassVar

from backend_under_test.persistent_core.holder import GlobalHolder, Holder
from backend_under_test.persistent_core.wrapper import PersistentWrapper


class DatabaseWrapper(PersistentWrapper):
    """Keeps one session per process and alias. A second thread in mid-request gets SessionInUse."""

    holder: ClassVar[Holder] = GlobalHolder()
