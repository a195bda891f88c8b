"""Toxiproxy, wherever it runs: its binary, its API, its toxics and the proxies of plans."""
