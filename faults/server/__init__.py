"""Faults of the server: sessions ended or frozen, restarts, crashes, limits reached."""
