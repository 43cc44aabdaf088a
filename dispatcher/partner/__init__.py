"""What partners call: one listener of its own, on which nothing of the API can be reached."""
