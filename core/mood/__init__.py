"""How people get on in a space, and what about: counted for all together, never for one."""
