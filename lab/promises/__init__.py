"""The promises: one file each, found by the name under which it is registered (promises.md gives the sentences)."""
