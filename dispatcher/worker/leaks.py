"""What the leak guard found in a letter is kept, counted and told before anything else is done.

Called by `shaping` once a letter was shaped, whether or not it may leave. Told once for a
delivery, however often it is tried. No value is ever near here.
"""

from collections.abc import Iterable

from dispatcher.model.errors import DispatcherError
from dispatcher.model.leak import Finding
from dispatcher.model.letter import Leased
from dispatcher.worker.kit import Kit


async def tell_findings(kit: Kit, leased: Leased, findings: Iterable[Finding]) -> bool:
    """Keep, count and log what was found; `False` where it cannot be kept."""
    try:
        new = await kit.findings.note(leased, findings)
    except DispatcherError as error:
        kit.report("findings_unwritable", error)
        return False
    for note in new:
        kit.metrics.leaks_found.labels(note.detector, note.action).inc(note.count)
        kit.log.warning(
            "leak_found",
            delivery=leased.id,
            event_id=leased.event.id,
            subscription=leased.subscription,
            detector=note.detector,
            path=note.path,
            action=note.action,
            length=note.length,
            count=note.count,
        )
    return True
