"""What a person types. Commands print and exit; they decide nothing."""
