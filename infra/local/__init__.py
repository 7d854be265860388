"""The embedded stack: every process of Batua on one machine that has only Python."""
