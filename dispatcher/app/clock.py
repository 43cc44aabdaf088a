"""The real clock and the real chance, handed in where the data plane asks for them."""

import random
import secrets
import time

from dispatcher.model.ids import LeaseToken, WebhookId

_chance = random.SystemRandom()


class SystemClock:
    """Wall time for stamps, boot time for leases.

    Boot time goes on while the machine or the process is suspended, so a lease held by a process
    that slept is gone when it wakes.
    """

    def wall_us(self) -> int:
        """Give microseconds since the epoch, UTC."""
        return time.time_ns() // 1000

    def boot(self) -> float:
        """Give seconds since boot, suspension included."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)


def chance() -> float:
    """Give a number in [0, 1)."""
    return _chance.random()


def mint_webhook_id() -> WebhookId:
    """Give a fresh random id that means nothing: 128 bits."""
    return WebhookId(f"msg_{secrets.token_hex(16)}")


def mint_token() -> LeaseToken:
    """Give a fresh lease token."""
    return LeaseToken(secrets.token_hex(8))


def mint_challenge() -> str:
    """Give a fresh word that nobody can guess: 256 bits."""
    return secrets.token_hex(32)


def mint_secret() -> bytes:
    """Give a fresh signing secret of 256 bits."""
    return secrets.token_bytes(32)
