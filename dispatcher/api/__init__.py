"""What programs and people ask: routes by noun, one way through them, health and metrics."""
