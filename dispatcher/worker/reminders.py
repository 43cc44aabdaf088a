"""Says which signing keys have signed for so long that another should take their place.

Called by the policy watch with each reading. A metric says so all the time, a log line once a day.
A key that is retiring needs no reminder: it ends by itself.
"""

from collections.abc import Mapping

from dispatcher.model.keys import KeyState, SigningKey
from dispatcher.worker.kit import Kit


def remind_of_keys(
    kit: Kit, keys: Mapping[str, tuple[SigningKey, ...]], now_us: int, *, is_new_day: bool
) -> None:
    """Tell of every active key that is older than the configuration wants."""
    gauge = kit.metrics.signing_key_age_days
    gauge.clear()
    for subscription, held in keys.items():
        ages = [
            key.times.age_days(now_us) for key in held if key.times.state(now_us) is KeyState.ACTIVE
        ]
        oldest = max(ages, default=0)
        if not ages or oldest < kit.settings.remind_after_days:
            continue
        gauge.labels(subscription).set(oldest)
        if is_new_day:
            kit.log.warning(
                "signing_key_old",
                subscription=subscription,
                why=f"it has signed for {oldest} days",
                fix=f"dispatcher keys rotate {subscription} --reason ...",
            )
