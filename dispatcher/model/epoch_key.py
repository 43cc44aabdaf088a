"""What a key at rest is known by: one tenant's, for one stretch of time, wrapped by a key above it.

Kept by `store.epoch_keys`, opened by `vault.epochs`. A destroyed one leaves its name and its time,
for its records are still recognised by them.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochKey:
    """One key as it lies in the registry: wrapped by the key `kek` names, or destroyed.

    `tenant` is empty for the secrets of the registry itself. Times are microseconds since 1970; it
    seals what is sealed from `begins_us` up to `ends_us`, by the database's clock.
    """

    id: str
    tenant: str
    begins_us: int
    ends_us: int
    wrapped: bytes | None = field(repr=False)
    kek: str
    destroyed_us: int | None = None
