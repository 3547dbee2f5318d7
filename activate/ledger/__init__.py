"""What was sent to Mavera and what it cost, in a database that outlives the warehouse."""
