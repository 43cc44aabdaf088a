"""The one door through which a company's events leave for its partners."""
