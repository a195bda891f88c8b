"""Where plans come from when nobody writes them: random search, and exploration of everything there is.

strategies   random plans, drawn by Hypothesis     search     run, judge and shrink them
profiles     how much is searched
"""
