"""Log lines and metrics. Imports nothing of ours; no value, secret or body ever reaches it."""
