"""Serves the partner listener of a process, where the configuration says who it is."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from dispatcher.app.config import Config
from dispatcher.control.failed_attempts import FailedAttempts
from dispatcher.network.listening import make_listening_context
from dispatcher.network.settings import Identity
from dispatcher.partner.listener import Partner, serve_partners
from dispatcher.partner.published import PublishedKeys
from dispatcher.worker.kit import Kit
from dispatcher.worker.policy import PolicyWatch
from dispatcher.worker.reader import Reader


@asynccontextmanager
async def served_partners(
    config: Config, kit: Kit, policy: PolicyWatch, *, is_here: bool = True
) -> AsyncIterator[int | None]:
    """Listen for partners until the block ends, and give the port; do nothing where that is off."""
    section, files = config.partner, config.partner_files
    if not is_here or files is None:
        yield None
        return
    certificate, key = map(str, files)
    context = make_listening_context(Identity(certificate, key), lambda: policy.snapshot.callers)
    partner = Partner(
        reader=Reader(kit, policy),
        published=PublishedKeys(policy, kit.clock.wall_us),
        policy=policy,
        failed=FailedAttempts(section.failed_per_minute, asyncio.get_running_loop().time),
        metrics=kit.metrics,
        log=kit.log,
        wall_us=kit.clock.wall_us,
        base_url=section.base_url,
        request_seconds=section.request_seconds,
    )
    async with serve_partners(section.host, section.port, context, partner) as port:
        kit.log.info("partners_served", address=f"{section.host}:{port}")
        yield port
