"""One run: a plan becomes a record.

run           the phases: safety, heal, liveness; and how the subject's process ends
steps         the steps of the actors, one at a time: handed over, waited for, given up
actors        which step and request each actor is in
waiting       where a step that does not return waits: in the server or in the client
nemesis       the faults between and inside the steps: strike, see, heal
gates         steps that the lab holds inside the server
census_taker  the server's view, taken once nothing is on its way any more
pulse         whether the lab itself was held up
diary         what is written down while it runs, by one clock
"""

from lab.run.run import Run, run

__all__ = ["Run", "run"]
