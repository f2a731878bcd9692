"""Measurements. Each takes ``--json FILE`` and writes rows of name, value, unit, goal, direction."""
