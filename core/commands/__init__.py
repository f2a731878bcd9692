"""The commands: one table, and one file for each group."""
