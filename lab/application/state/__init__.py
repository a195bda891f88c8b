"""The rows and sequences of a test's databases: saved once, compared after each case, restored exactly.

    saved = save({"default": wrapper})   # control sessions, straight to the server, outside of any transaction
    ...                                  # a case writes, and its sessions end
    saved.tally()                        # which rows came and went
    saved.restore()                      # the tables that were touched, and no others
    saved.close()

What is kept lives in temporary tables of the control sessions: a process that is killed leaves none of it behind.
"""

from __future__ import annotations

from lab.application.state.saved import Change, Row, Saved, save
from lab.application.state.session import StateLost, hand_in

__all__ = ["Change", "Row", "Saved", "StateLost", "hand_in", "save"]
