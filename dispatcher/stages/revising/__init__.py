"""From a registry to a snapshot, and everything that is wrong with a registry."""
