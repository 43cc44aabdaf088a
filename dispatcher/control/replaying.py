"""Sends again what has ended: files new deliveries that name their ancestors.

Called by `replay`. Deliveries that are named are replayed all or not at all; of those that a filter
finds, what cannot be replayed is counted and left. It is put on the record before and after. What a
replay may tell is bounded by all that its relatives were filed under and may have told, and by
policy when it goes out; whether it may go out is asked on the road, as of every delivery.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, Self

from dispatcher.control.means import Means
from dispatcher.control.people import require
from dispatcher.control.texts import require_reason
from dispatcher.model.audit import CHANGES_MAX, Entry
from dispatcher.model.errors import Conflict, NotFound
from dispatcher.model.ids import DeliveryId, WebhookId
from dispatcher.model.people import Principal, Right
from dispatcher.model.replay import REPLAYS_MAX, Ancestor, FiledReplay, PlannedReplay
from dispatcher.model.scope import Scope
from dispatcher.model.verdict import Reason, Refusal
from dispatcher.stages.gates.replaying import ceiling_of, judge_replay
from dispatcher.store.audit import AuditLog
from dispatcher.store.replays import Ended, Filing, ReplayStore

_ANEW: Final = "enqueue the event anew"
_WHY: Final = {
    Reason.DELIVERY_MOVING: (
        "it may still be sent, by delivery {detail}",
        "wait for that one; where a switch or a refusal keeps it, lift that: it goes on by itself",
    ),
    Reason.DELIVERY_DROPPED: ("it was given up for good", _ANEW),
    Reason.PAYLOAD_GONE: ("its payload is gone: its retention ended, or it was shredded", _ANEW),
    Reason.SCOPE_UNKNOWN: ("the scope of an earlier attempt is not known any more", _ANEW),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """Which deliveries somebody wants to have sent again: by number, or by how they ended.

    `new_ids`: each is a message of its own for its partner. `tenant` bounds both ways.
    """

    ids: tuple[int, ...] = ()
    ended: Ended | None = None
    tenant: str | None = None
    new_ids: bool = False
    limit: int = REPLAYS_MAX


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """How many deliveries of one kind there are, and why they cannot be replayed, if so."""

    subscription: str
    type: str
    state: str
    code: str | None
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """What was found, by kind, and what was filed of it."""

    kinds: tuple[Kind, ...]
    filed: tuple[FiledReplay, ...] = ()
    is_dry: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Replaying:
    """Files replays in one outbox. `mint` gives a fresh id for a partner."""

    replays: ReplayStore
    audit: AuditLog
    mint: Callable[[], WebhookId]

    @classmethod
    def over(cls, means: Means) -> Self:
        """Take what it needs of these means."""
        return cls(
            replays=ReplayStore(means.outbox_database),
            audit=means.audit,
            mint=means.mint_webhook_id,
        )

    async def look(self, wish: Wish, *, by: Principal) -> Replayed:
        """Say what a wish would replay, and what not, without doing it."""
        require(by, Right.REPLAY)
        if wish.ended is None:
            counted = [(each, 1) for each in await self._named(wish)]
        else:
            counted = await self.replays.count(wish.ended, tenant=wish.tenant)
        return Replayed(kinds=_kinds(counted), is_dry=True)

    async def replay(self, wish: Wish, *, reason: str, by: Principal) -> Replayed:
        """File a new delivery for each that can be sent again.

        Raises `NotFound` and `Conflict`, and nothing was filed then.
        """
        require_reason(reason)
        found = await self.look(wish, by=by)
        count = sum(kind.count for kind in found.kinds if kind.code is None)
        if count > wish.limit:
            raise Conflict(
                f"{count} deliveries would be sent again, and the limit is {wish.limit}",
                where="limit",
                fix=f"choose a shorter time, or raise the limit, up to {REPLAYS_MAX}",
                code="replays_too_many",
            )
        wanted = await self._wanted(wish)
        if not wanted:
            return Replayed(kinds=found.kinds)
        entry = Entry(kind="deliveries.replaying", actor=by.name, about=_about(wish), reason=reason)
        await self.audit.record(replace(entry, detail=_detail(wish, wanted)))
        async with self.replays.filing(wanted) as filing:
            filed = await self._file(filing, wish)
        detail = _detail(wish, [each.replay_of for each in filed])
        await self.audit.record(replace(entry, kind="deliveries.replayed", detail=detail))
        return Replayed(kinds=found.kinds, filed=tuple(filed))

    async def _wanted(self, wish: Wish) -> list[DeliveryId]:
        """Give the deliveries to replay; of named ones, each must be one that can be."""
        if wish.ended is not None:
            ended = await self.replays.ended(wish.ended, tenant=wish.tenant, limit=wish.limit)
            return [each.id for each in ended if judge_replay(each) is None]
        named = await self._named(wish)
        for each in named:
            refusal = judge_replay(each)
            if refusal is not None:
                raise _refused(each.id, refusal)
        return [each.id for each in named]

    async def _named(self, wish: Wish) -> list[Ancestor]:
        found = await self.replays.named(wish.ids, tenant=wish.tenant)
        missing = sorted(set(wish.ids) - {each.id for each in found})
        if missing:
            raise NotFound(
                f"no delivery {missing[0]}",
                where="DELIVERY",
                fix="'dispatcher deliveries' lists what there is",
                code="delivery_unknown",
            )
        families: dict[tuple[int, str], Ancestor] = {}
        for each in found:
            other = families.setdefault(each.family, each)
            if other is not each:
                raise Conflict(
                    f"deliveries {other.id} and {each.id} are of one event to one subscription",
                    where=f"delivery {each.id}",
                    fix="name one of them",
                    code="delivery_twice",
                )
        return found

    async def _file(self, filing: Filing, wish: Wish) -> list[FiledReplay]:
        """File what can still be replayed: somebody else may have been first meanwhile."""
        planned, ceilings = [], []
        scopes = await filing.scopes(filing.ancestors)
        for each in filing.ancestors:
            verdict = judge_replay(each) or ceiling_of(scopes[each.id])
            if isinstance(verdict, Scope):
                webhook_id = self.mint() if wish.new_ids else None
                replay = PlannedReplay(ancestor=each.id, scope_id=verdict.id, webhook_id=webhook_id)
                planned.append(replay)
                ceilings.append(verdict)
            elif wish.ended is None:
                raise _refused(each.id, verdict)
        return await filing.file(planned, ceilings) if planned else []


def _kinds(counted: Iterable[tuple[Ancestor, int]]) -> tuple[Kind, ...]:
    counts: Counter[tuple[str, str, str, str | None]] = Counter()
    for each, count in counted:
        refusal = judge_replay(each)
        code = refusal.code if refusal is not None else None
        counts[each.subscription, each.type, each.state.value, code] += count
    return tuple(
        Kind(subscription=subscription, type=kind, state=state, code=code, count=count)
        for (subscription, kind, state, code), count in counts.items()
    )


def _about(wish: Wish) -> str:
    if wish.ended is not None:
        return f"subscription {wish.ended.subscription}"
    return f"delivery {wish.ids[0]}" if len(wish.ids) == 1 else f"{len(wish.ids)} deliveries"


def _detail(wish: Wish, ids: Sequence[DeliveryId]) -> dict[str, Any]:
    detail = {"count": len(ids), "new_ids": wish.new_ids, "deliveries": list(ids[:CHANGES_MAX])}
    return detail | asdict(wish.ended) if wish.ended is not None else detail


def _refused(delivery: DeliveryId, refusal: Refusal) -> Conflict:
    why, fix = _WHY[refusal.reasons[0]]
    return Conflict(
        why.format(detail=refusal.detail),
        where=f"delivery {delivery}",
        fix=fix,
        code=refusal.code,
    )
