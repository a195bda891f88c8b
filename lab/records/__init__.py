"""Frozen data: what is planned, what happened, what was concluded. JSON in and out, no I/O.

variant   what is judged             plan      what shall happen
history   what the actors saw        census    what the server saw
landing   whether a fault struck     record    all of one run together
verdict   what follows from it       codec     JSON text <-> records
"""
