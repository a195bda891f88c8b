"""What to change: each broken promise's evidence plans run again under other settings.

change   what a change is, and the registry of them (changes/, one file each)
tried    variants with changes laid on, and their zygotes
choose   the smallest set that mends the most
advise   the way of one advice: check, try, choose, prove, measure
cost     what a variant costs per request
"""
