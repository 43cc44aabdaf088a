"""No unwrap, no send: a letter whose key cannot be had waits, and is sent once it can."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from dispatcher.model.event import UNREADABLE
from dispatcher.model.letter import Leased
from dispatcher.model.verdict import Refusal
from dispatcher.stages.settling.settle import KEY_PAUSE_US, settle
from dispatcher.vault.epochs import ASK_AGAIN_SECONDS, EpochKeys
from dispatcher.vault.local import LocalProvider
from dispatcher.vault.places import payload_place
from dispatcher.vault.provider import KeyProviders
from dispatcher.vault.sealer import Vault
from dispatcher.worker.unlocking import unlock_letter
from tests.support.records import KEYRING
from tests.support.vaults import Fickle, MemoryEpochs, content_of, standing_vault
from tests.unit.stages import builders


class Room:
    """A worker that has just started: no key is at hand, and the provider may be away."""

    def __init__(self) -> None:
        self.now, self.epochs = 0.0, MemoryEpochs()
        self.provider = Fickle(LocalProvider(KEYRING))
        self.said: list[str] = []
        self.vault = self.new_vault()
        self.kit: Any = SimpleNamespace(
            vault=self.vault, report=lambda line, error: self.said.append(f"{line} {error}")
        )

    def new_vault(self) -> Vault:
        keys = EpochKeys(self.epochs, KeyProviders(self.provider), boot=lambda: self.now)
        return Vault(KEYRING, keys)

    async def letter(self, blob: bytes | None = None) -> Leased:
        """A letter as it is leased while its key is not at hand."""
        leased = builders.leased()
        place = payload_place(leased.event.tenant, leased.event.id)
        content = content_of(b'{"id":"private"}', "ann", event_type=leased.event.type)
        sealed = blob or await self.new_vault().seal_soon(content, place)
        return replace(leased, event=replace(leased.event, payload=sealed, is_locked=True))

    async def unlock(self, leased: Leased) -> Leased | Refusal:
        return await unlock_letter(self.kit, leased)


async def test_a_letter_whose_key_is_not_at_hand_is_opened_when_it_is_fetched():
    room = Room()
    leased = await room.letter()
    opened = await room.unlock(leased)
    assert isinstance(opened, Leased)
    assert (opened.event.payload, opened.event.subjects) == (b'{"id":"private"}', ("ann",))
    assert not opened.event.is_locked
    assert await room.unlock(opened) is opened


async def test_while_the_provider_is_away_a_letter_waits_and_no_retry_is_spent():
    room = Room()
    leased = await room.letter()
    room.provider.away = True
    held = await room.unlock(leased)
    assert isinstance(held, Refusal)
    assert (held.code, held.is_hold) == ("key_unavailable", True)
    ended = settle(leased, None, held, (5.0,), 0.5, 0)
    assert (ended.move.value, ended.failures) == ("not begun", leased.failures)
    assert ended.delay_us == KEY_PAUSE_US
    assert "private" not in str(room.said)
    room.provider.away, room.now = False, ASK_AGAIN_SECONDS
    assert isinstance(await room.unlock(leased), Leased)


async def test_what_a_destroyed_key_sealed_counts_as_a_payload_that_is_gone():
    room = Room()
    leased = await room.letter()
    room.epochs.destroy(*room.epochs.keys)
    opened = await room.unlock(leased)
    assert isinstance(opened, Leased)
    assert opened.event.payload is None


async def test_a_letter_under_a_key_that_nobody_knows_is_parked_and_a_broken_one_is_unreadable():
    room = Room()
    leased = await room.letter()
    place = payload_place(leased.event.tenant, leased.event.id)
    parked = await room.unlock(
        await room.letter(standing_vault().seal(content_of(b"{}", event_type="order.paid"), place))
    )
    assert isinstance(parked, Refusal)
    assert (parked.code, parked.is_hold) == ("payload_unreadable", False)
    moved = replace(leased, event=replace(leased.event, tenant="bolt"))
    opened = await room.unlock(moved)
    assert isinstance(opened, Leased)
    assert opened.event.payload == UNREADABLE
