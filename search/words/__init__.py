"""Marks by their words: name, sound, owner and number."""
