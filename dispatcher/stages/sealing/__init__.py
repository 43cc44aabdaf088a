"""The final body and, at the last instant, its signature."""
