"""People and communities: who is who, what they chose, what they may and what they may spend."""
