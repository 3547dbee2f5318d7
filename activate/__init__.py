"""Bring Mavera in line with the records of the activation models, and pay for each object once."""
