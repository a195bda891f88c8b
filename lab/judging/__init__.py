"""How a record is read and judged: what several promises share. A promise itself is a file of lab/promises."""
