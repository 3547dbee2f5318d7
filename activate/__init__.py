"""Brings Mavera in line with what the activation models ask for, and pays for each object once."""
