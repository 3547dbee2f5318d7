"""What the warehouse stores of a load: rows, cursors, counts, and notes on values that were not loaded."""
