"""The changes that are tried, one file each."""
