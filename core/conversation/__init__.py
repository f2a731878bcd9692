"""A conversation: its mailbox, its history, its prompt."""
