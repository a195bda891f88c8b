"""One run: a plan becomes a record.

run      the steps of the actors, one at a time, and the phases: safety, heal, liveness
nemesis  the faults between and inside the steps: strike, see, heal
gates    steps that the lab holds inside the server
diary    what is written down while it runs, by one clock
"""

from lab.run.run import Run, run

__all__ = ["Run", "run"]
