"""One session per process and alias, for prefork workers that serve one request at a time."""
