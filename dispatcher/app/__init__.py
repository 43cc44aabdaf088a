"""Configuration, wiring and process life: the only room that knows everyone."""
