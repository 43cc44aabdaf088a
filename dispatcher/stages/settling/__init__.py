"""From what came back to what happens next."""
