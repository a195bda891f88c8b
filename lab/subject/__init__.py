"""The subject: the process in which the variant runs.

`inside/` is what runs there: the standard library and Django alone, under whichever interpreter the variant asks
for. `handle.py` is the lab's end. They speak JSON messages over SOCK_SEQPACKET socket pairs.
"""
