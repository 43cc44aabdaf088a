"""Who gets a copy of an event, and whether the event may be taken in at all."""
