"""What moderators keep and do: cases so far."""
