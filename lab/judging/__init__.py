"""How a record is read and judged: what all promises share."""
