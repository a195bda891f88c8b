"""Faults between the client and the server, by Toxiproxy. A proxy belongs to one plan; toxics are never taken out."""
