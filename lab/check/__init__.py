"""What a check is: which plans, in which order, within which budget, and what is concluded from them.

variants   what is judged                 cases    the plans that the promises ask for, each once
trial      one case: run, judge, confirm  lanes    which cases run side by side
subjects   the zygotes                    tally    trials -> verdicts
search     the random search's part       replay   one plan again, as often as asked
"""
