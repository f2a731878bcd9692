"""Redis or Valkey: the connection, the names of keys, the scripts. Nothing else in Parley spells a key."""
