"""The control plane: what people may change and ask. Knows nothing of the worker."""
