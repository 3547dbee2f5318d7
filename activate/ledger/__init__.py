"""The record of everything sent to Mavera and its cost, in a database that outlives the warehouse."""
