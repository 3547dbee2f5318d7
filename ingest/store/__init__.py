"""What the warehouse keeps of a load: rows, cursors, counts, and what may not be kept."""
