"""Keys at rest: the local keyring, sealing of stored payloads, pseudonyms for the ledger."""
