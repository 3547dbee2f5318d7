"""The commands of `python -m activate`: what they read, print and return."""
