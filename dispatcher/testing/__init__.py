"""For a producer's own tests: what each partner would see of my events. Needs the base package."""
