"""Servers of small local models, each in a child process: pictures, sound, text in pictures, embeddings."""
