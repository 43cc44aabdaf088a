"""The data plane: carries letters from the outbox to partners, and obeys policy while it does."""
