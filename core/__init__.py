"""What Parley is, apart from any platform: messages, conversations, models, commands, storage."""
