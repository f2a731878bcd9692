"""Training of small generators and fine-tuning of chat models. Runs in a process of its own, where torch is installed:
``python -m core.training``, which ``parley train`` starts."""
