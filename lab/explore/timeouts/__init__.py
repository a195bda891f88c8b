"""What notices which loss after how many seconds: a variant's timeout settings, judged by measurement.

Each cell is a client of its own on a line of its own, brought into one of four situations, and then there is silence:
packets vanish (blackout, or one direction of it), or all that is sent is acknowledged and nothing comes back
(black-hole, as behind a proxy that hangs).

cell      one cell: a client in one situation, one kind of silence, and a watch
setting   the variant's own timeout settings, each judged by what it was seen to end
table     all cells, and the holes that the variant's own settings leave
run       the measurement of a whole table
"""
