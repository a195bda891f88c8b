"""PostgreSQL, wherever it runs: its template, its settings, its server process, and the server as faults see it."""
