"""What intake does, one use case per function."""
