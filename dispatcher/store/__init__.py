"""The only SQL: tables of both planes, the hot statements, the ledger, the registry.

No statement joins across the registry and an outbox: they may be two databases.
"""
