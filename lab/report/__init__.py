"""Results made readable: live progress and tables for the terminal, JSON for programs, one HTML page for everybody."""
