"""The promises, one file each: every module here registers exactly one. docs/promises.md lists them."""
