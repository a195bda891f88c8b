"""Results made readable: live progress and tables for a terminal, JSON for programs, one HTML page for a browser."""
