"""What may not be asked for, said or shown."""
