"""One session per thread and alias."""
