"""The platforms: Discord, Telegram and the web chat, and what they share in showing an answer."""
