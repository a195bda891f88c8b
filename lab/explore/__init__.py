"""Where plans come from when nobody writes them: random search, and exploration of everything there is.

strategies   random plans, drawn by Hypothesis     search     run, judge and shrink them
profiles     how much is searched
cuts         one request, cut everywhere           points     where that is
interleavings  two or three requests at once, their steps in every order
shrink       any plan that breaks a promise, made small
ledger       progress that survives a stop         finish     the wait for all that runs
"""
