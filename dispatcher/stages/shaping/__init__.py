"""From a payload and a scope to the exact plaintext one recipient gets."""
