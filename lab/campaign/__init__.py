"""Campaigns: what is too long for a check, cut into slices that any number of workers runs.

kinds       what is run, and how a number of cases is chosen of it
directed    every directed plan, as a kind
corners     each variant in each version, and what differs
slices      the slices: each a pure function of what it holds and of the rig on which it runs
worker      what a worker keeps: its rig, and a zygote for each variant
cluster     the workers, by dask.distributed: which of them may work, what they run, and what becomes of it
keeping     the store of a campaign: what is done, and its evidence
campaign    which slice comes next, until all is done or the time is over
verdicts    what a store's campaign comes to, however it was run
join        the shards of a campaign as one
"""
