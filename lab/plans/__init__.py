"""Stored plans that the demos replay."""
