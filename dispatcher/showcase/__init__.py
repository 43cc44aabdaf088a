"""What shows the product at work: the demonstration, the benches, and the servers they need.

Besides `store` and `network` the only room that may speak SQL and HTTP, exempt by name.
"""
