"""The audit log: every change is on it, and no row of it can be touched without being named."""

import asyncio
import secrets
import time
from collections.abc import Callable

import msgspec
import pytest

from dispatcher.control.auditing import Verification, verify
from dispatcher.control.people import People
from dispatcher.control.switches import SwitchControl
from dispatcher.model.audit import Entry
from dispatcher.model.checkpoint import Checkpoint, write_note
from dispatcher.model.errors import Conflict, InvalidInput, SealBroken
from dispatcher.model.merkle import grown, leaf_hash, packed, root_hash
from dispatcher.model.people import Principal, PrincipalKind, Role
from dispatcher.model.switch import Target
from dispatcher.store.audit import AuditLog
from dispatcher.store.database import Database
from dispatcher.store.people import NewToken, PeopleStore
from dispatcher.store.registry import RegistryStore
from dispatcher.store.workers import WorkerStore
from dispatcher.vault.record import RecordKeys
from tests.conformance.test_changes import BEA, LARGE, OTHER, PAT, SMALL, approve
from tests.support.letters import change, rows
from tests.support.planes import control_of
from tests.support.records import KEYRING, audit_of

ADA = Principal(name="ada", kind=PrincipalKind.HUMAN, roles=frozenset({Role.ADMIN}))
COPY = "INSERT INTO {{audit_log}} SELECT {to}, entry, seal FROM {{audit_log}} WHERE seq = {of}"


async def filled(database: Database, count: int = 9) -> tuple[AuditLog, list[str]]:
    """A log of some entries, and the checkpoints that were kept of it."""
    kept: list[str] = []

    async def keep(note: str) -> None:
        kept.append(note)

    audit = audit_of(database, keep)
    for number in range(count):
        async with audit.recording() as recording:
            recording.note(Entry(kind="test.made", actor="ada", about=f"thing {number}"))
    return audit, kept


async def verified(audit: AuditLog, kept: list[str]) -> Verification:
    return await verify(audit, "\n".join(kept))


async def test_an_untouched_log_is_good_and_agrees_with_every_checkpoint(database: Database):
    audit, kept = await filled(database)
    found = await verified(audit, kept)
    assert (found.is_good, found.size, found.checkpoints, found.last) == (True, 9, 9, 9)
    leaves = [
        leaf_hash(row["entry"].encode() + row["seal"])
        for row in await rows(database, "SELECT entry, seal FROM {audit_log} ORDER BY seq")
    ]
    assert found.root == root_hash(grown((), 0, leaves)).hex()


async def test_an_empty_log_is_good(database: Database):
    assert (await verified(audit_of(database), [])).is_good


@pytest.mark.parametrize(
    ("statements", "first_bad"),
    [
        (["UPDATE {audit_log} SET entry = replace(entry, 'ada', 'eve') WHERE seq = 4"], 4),
        (["UPDATE {audit_log} SET entry = entry || ' ' WHERE seq = 8"], 8),
        (
            ["UPDATE {audit_log} SET seal = :seal WHERE seq = 2"],
            2,
        ),
        (["DELETE FROM {audit_log} WHERE seq = 0"], 0),
        (["DELETE FROM {audit_log} WHERE seq = 5"], 5),
        (["DELETE FROM {audit_log} WHERE seq = 8"], 8),
        (["DELETE FROM {audit_log}"], 0),
        (
            [
                "DELETE FROM {audit_log} WHERE seq = 5",
                "UPDATE {audit_log} SET seq = 5 WHERE seq = 8",
                "UPDATE {audit_head} SET size = 8",
            ],
            5,
        ),
        (
            [
                "UPDATE {audit_log} SET seq = 103 WHERE seq = 3",
                "UPDATE {audit_log} SET seq = 3 WHERE seq = 4",
                "UPDATE {audit_log} SET seq = 4 WHERE seq = 103",
            ],
            3,
        ),
        (
            [COPY.format(to=9, of=4)],
            9,
        ),
        (
            [
                "UPDATE {audit_log} SET seq = 9 WHERE seq = 6",
                COPY.format(to=6, of=2),
                "UPDATE {audit_head} SET size = 10",
            ],
            6,
        ),
        (["DELETE FROM {audit_log} WHERE seq = 8", "UPDATE {audit_head} SET size = 8"], 8),
        (["UPDATE {audit_head} SET size = 10"], 9),
        (["UPDATE {audit_head} SET note = ''"], 0),
        ([COPY.format(to=-1, of=4)], -1),
        (["UPDATE {audit_log} SET seq = -1 WHERE seq = 0"], 0),
    ],
    ids=[
        "altered",
        "last altered",
        "seal altered",
        "first removed",
        "one removed",
        "last removed",
        "all removed",
        "removed and renumbered",
        "swapped",
        "put after the end",
        "put in the middle",
        "cut off",
        "head grown",
        "checkpoint removed",
        "put before the beginning",
        "moved before the beginning",
    ],
)
async def test_the_first_entry_that_is_not_as_it_was_written_is_named(
    database: Database, statements: list[str], first_bad: int
):
    audit, _ = await filled(database)
    for statement in statements:
        given = {"seal": b"0" * 32} if ":seal" in statement else {}
        await change(database, statement, **given)
    found = await verified(audit, [])
    assert (found.is_good, found.first_bad) == (False, first_bad)
    assert found.why


async def test_a_byte_moved_from_an_entry_into_its_seal_is_seen(database: Database):
    audit, kept = await filled(database)
    (row,) = await rows(database, "SELECT entry, seal FROM {audit_log} WHERE seq = 4")
    moved = {"entry": row["entry"][:-1], "seal": row["entry"][-1:].encode() + row["seal"]}
    await change(
        database, "UPDATE {audit_log} SET entry = :entry, seal = :seal WHERE seq = 4", **moved
    )
    found = await verified(audit, kept)
    assert (found.is_good, found.first_bad) == (False, 4)


async def test_the_next_change_does_not_sign_over_what_was_forged(database: Database):
    audit, _ = await filled(database)
    (row,) = await rows(database, "SELECT entry, seal FROM {audit_log} WHERE seq = 4")
    forged = row["entry"].replace("ada", "eve")
    held = await rows(database, "SELECT seq, entry, seal FROM {audit_log} ORDER BY seq")
    texts = [forged if each["seq"] == 4 else each["entry"] for each in held]
    leaves = [
        leaf_hash(text.encode() + each["seal"]) for text, each in zip(texts, held, strict=True)
    ]
    await change(database, "UPDATE {audit_log} SET entry = :text WHERE seq = 4", text=forged)
    frontier = packed(grown((), 0, leaves))
    await change(database, "UPDATE {audit_head} SET frontier = :frontier", frontier=frontier)
    target = Target.parse("everything")
    assert (await RegistryStore(database, audit).trip(target, reason="r", actor="a"))[0]
    found = await verified(audit, [])
    assert (found.is_good, found.first_bad) == (False, 4)
    assert (await audit.head()).size == 10


async def test_a_stop_goes_through_whatever_was_done_to_the_head_and_stays_seen(
    database: Database,
):
    audit, kept = await filled(database)
    await change(database, "UPDATE {audit_head} SET frontier = :f, note = 'x'", f=b"1" * 64)
    target = Target.parse("everything")
    await RegistryStore(database, audit).trip(target, reason="r", actor="a")
    assert len(await rows(database, "SELECT id FROM {switches}")) == 1
    assert not (await verified(audit, kept)).is_good
    assert len(kept) == 9


async def test_two_checkpoints_of_one_size_that_do_not_agree_are_told(database: Database):
    audit, kept = await filled(database, 6)
    head = await audit.head()
    other = Checkpoint(head.log, 6, b"2" * 32)
    signature = RecordKeys(KEYRING).sign(other.text.encode())
    found = await verified(audit, [*kept, write_note(other, audit.public_key, signature)])
    assert not found.is_good
    assert "two checkpoints" in found.why


async def test_a_checkpoint_cut_off_by_a_full_disk_spoils_no_other(database: Database):
    audit, kept = await filled(database)
    torn = [*kept[:3], kept[3][:70], *kept[4:]]
    found = await verify(audit, "\n".join(f"\n{note}" for note in torn))
    assert (found.is_good, found.checkpoints, found.fragments) == (True, 8, 1)


async def test_a_checkpoint_that_a_witness_signed_too_is_taken(database: Database):
    audit, kept = await filled(database)
    cosigned = f"{kept[-1]}\u2014 witness.example/w1 c2lnbmVkIGJ5IGFub3RoZXI=\n"
    found = await verify(audit, cosigned)
    assert (found.is_good, found.checkpoints) == (True, 1)


async def test_a_log_put_back_to_an_earlier_state_whole_is_seen_by_a_checkpoint_kept_outside(
    database: Database,
):
    audit, kept = await filled(database, 6)
    (early,) = await rows(database, "SELECT size, frontier, note FROM {audit_head}")
    for number in range(3):
        async with audit.recording() as recording:
            recording.note(Entry(kind="test.made", actor="eve", about=f"deed {number}"))
    await change(database, "DELETE FROM {audit_log} WHERE seq >= 6")
    await change(
        database,
        "UPDATE {audit_head} SET size = :size, frontier = :frontier, note = :note",
        **early,
    )
    assert (await verified(audit, [])).is_good
    found = await verified(audit, kept)
    assert (found.is_good, found.first_bad) == (False, 6)


async def test_a_log_written_anew_with_the_keyring_is_seen_by_a_checkpoint_kept_outside(
    database: Database,
):
    audit, kept = await filled(database, 6)
    head = await audit.head()
    texts = [
        row["entry"] for row in await rows(database, "SELECT entry FROM {audit_log} ORDER BY seq")
    ]
    texts[4] = texts[4].replace("ada", "bob")
    seals = audit.seals(0, [text.encode() for text in texts])
    for seq, (text, seal) in enumerate(zip(texts, seals, strict=True)):
        await change(
            database,
            "UPDATE {audit_log} SET entry = :text, seal = :seal WHERE seq = :seq",
            text=text,
            seal=seal,
            seq=seq,
        )
    both = zip(texts, seals, strict=True)
    frontier = grown((), 0, [leaf_hash(text.encode() + seal) for text, seal in both])
    forged = Checkpoint(head.log, 6, root_hash(frontier))
    note = write_note(forged, audit.public_key, RecordKeys(KEYRING).sign(forged.text.encode()))
    await change(
        database,
        "UPDATE {audit_head} SET frontier = :frontier, note = :note",
        frontier=packed(frontier),
        note=note,
    )
    assert (await verified(audit, [])).is_good
    found = await verified(audit, kept)
    assert (found.is_good, found.first_bad) == (False, 4)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda note: note.replace("\n9\n", "\n8\n"),
        lambda note: note.replace("dispatcher-audit/", "dispatcher-audit/f"),
        lambda note: note[:-9] + ("A" if note[-9] != "A" else "B") + note[-8:],
    ],
    ids=["size", "log", "signature"],
)
async def test_a_checkpoint_that_this_log_did_not_sign_is_refused(
    database: Database, spoil: Callable[[str], str]
):
    audit, kept = await filled(database)
    found = await verified(audit, [*kept[:-1], spoil(kept[-1])])
    assert not found.is_good
    assert "checkpoint" in found.why


@pytest.mark.parametrize("kept", ["hello", "\n\n-", "dispatcher-audit/1\n1\nAAAA\n"])
async def test_what_is_no_checkpoint_is_bad_input(database: Database, kept: str):
    with pytest.raises(InvalidInput) as caught:
        await verify(audit_of(database), kept)
    assert caught.value.reason == "checkpoint_unreadable"


async def test_without_its_head_the_log_takes_no_entry_and_so_nothing_can_be_changed(
    database: Database,
):
    audit, _ = await filled(database, 1)
    await change(database, "DELETE FROM {audit_head}")
    target = Target.parse("everything")
    with pytest.raises(SealBroken):
        await RegistryStore(database, audit).trip(target, reason="r", actor="a")
    assert await rows(database, "SELECT * FROM {switches}") == []


async def test_what_is_not_put_on_the_record_is_not_done(database: Database):
    audit = audit_of(database)
    with pytest.raises(RuntimeError):
        async with audit.recording() as recording:
            await database.execute(recording.connection, "UPDATE {policy} SET epoch = 99")
    (policy,) = await rows(database, "SELECT epoch FROM {policy}")
    assert policy["epoch"] != 99


def token_of(principal: str, token_id: str) -> NewToken:
    return NewToken(id=token_id, principal=principal, secret_sha256="x", life_us=1)


async def test_what_is_refused_is_neither_done_nor_recorded(database: Database):
    audit = audit_of(database)
    people = PeopleStore(database, audit)
    await people.add(ADA, token_of("ada", "0" * 12), by=None)
    with pytest.raises(Conflict):
        await people.add(ADA, token_of("ada", "1" * 12), by="ada")
    assert [each["kind"] for each in await entries(database)] == [
        "principal.added",
        "token.issued",
    ]


async def entries(database: Database) -> list[dict]:
    found = await rows(database, "SELECT entry FROM {audit_log} ORDER BY seq")
    return [msgspec.json.decode(row["entry"]) for row in found]


async def test_every_kind_of_change_is_on_the_record_with_who_and_why(database: Database):
    audit = audit_of(database)
    people = People(store=PeopleStore(database, audit), mint=secrets.token_bytes)
    first = await people.add("ada", PrincipalKind.HUMAN, [Role.ADMIN], by=None)
    token = await people.issue("ada", days=1, by=ADA)
    await people.revoke(token.split("_")[1], by=ADA)
    changes = control_of(database)
    for number, held in ((1, LARGE), (2, OTHER)):
        await changes.propose(held, by=PAT, reason=f"why {number}", where="files")
    await changes.reject(2, by=BEA, reason="no")
    await approve(changes, 1)
    await changes.propose(OTHER, by=PAT, reason="more", where="files")
    await changes.propose(OTHER, by=PAT, reason="even more", where="files", amends=3)
    await changes.propose(SMALL, by=PAT, reason="less", where="files", amends=3)
    switches = SwitchControl(
        registry=RegistryStore(database, audit),
        workers=WorkerStore(database),
        wall_us=lambda: time.time_ns() // 1000,
    )
    target = Target.parse("connector:acme")
    await switches.hold(target, reason="INC-1", actor="sue", wait_seconds=1)
    await switches.release(target, reason="over", actor="sue")
    found = [(e["kind"], e["actor"], e["about"], e["reason"]) for e in await entries(database)]
    token_id = token.split("_")[1]
    assert found == [
        ("principal.added", "ada", "principal ada", ""),
        ("token.issued", "ada", f"token {first.split('_')[1]}", ""),
        ("token.issued", "ada", f"token {token_id}", ""),
        ("token.revoked", "ada", f"token {token_id}", ""),
        ("change_set.proposed", "pat", "change set 1", "why 1"),
        ("change_set.proposed", "pat", "change set 2", "why 2"),
        ("change_set.rejected", "bea", "change set 2", "no"),
        ("change_set.approved", "bea", "change set 1", "read it"),
        ("revision.activated", "bea", "revision 1", "why 1"),
        ("change_set.proposed", "pat", "change set 3", "more"),
        ("change_set.amended", "pat", "change set 3", "even more"),
        (
            "change_set.rejected",
            "pat",
            "change set 3",
            "amended to what needs no approval: revision 2",
        ),
        ("revision.activated", "pat", "revision 2", "less"),
        ("switch.tripped", "sue", "switch connector:acme", "INC-1"),
        ("switch.released", "sue", "switch connector:acme", "over"),
    ]
    assert (await verified(audit, [])).is_good


async def test_a_secret_of_a_token_or_in_a_url_is_nowhere_on_the_record(database: Database):
    audit = audit_of(database)
    people = People(store=PeopleStore(database, audit), mint=secrets.token_bytes)
    await people.add("ada", PrincipalKind.HUMAN, [Role.ADMIN], by=None)
    token = await people.issue("ada", days=1, by=ADA)
    await control_of(database).propose(
        LARGE, by=PAT, reason="see https://user:hunter2@chat.example/s3cr3t?k=s3cr3t", where="x"
    )
    await audit.record(Entry(kind="k", actor="a", about=f"/v1/{token}", detail={"q": token}))
    text = str(await entries(database))
    assert "https://chat.example/..." in text
    assert "https://hooks.acme.example" in text
    for secret in (token.rpartition("_")[2], "hunter2", "s3cr3t", "hooks.acme.example/orders"):
        assert secret not in text


async def test_what_many_do_at_once_has_one_order_without_gaps(postgres: Database):
    audit = audit_of(postgres)
    store = RegistryStore(postgres, audit)
    await asyncio.gather(
        *(
            store.trip(Target.parse(f"tenant:t{number}"), reason="r", actor="a")
            for number in range(20)
        )
    )
    found = await verified(audit, [])
    assert (found.is_good, found.size) == (True, 20)


async def test_entries_are_found_by_who_by_kind_and_by_what_they_are_about(database: Database):
    audit = audit_of(database)
    for kind, actor, about in (
        ("switch.tripped", "sue", "switch tenant:a%b"),
        ("switch.released", "sue", "switch tenant:a_b"),
        ("token.issued", "sue_", 'token "x"'),
        ("switch.tripped", "ada", "switch tenant:c"),
    ):
        await audit.record(Entry(kind=kind, actor=actor, about=about, reason='"actor":"sue"'))

    async def places(**wanted: str) -> list[int]:
        given = {"actor": None, "kind": None, "about": None} | wanted
        return [each.seq for each in await audit.newest(before=2**62, limit=10, **given)]

    assert await places() == [3, 2, 1, 0]
    assert await places(actor="sue") == [1, 0]
    assert await places(kind="switch") == [3, 1, 0]
    assert await places(kind="switch.tripped", actor="ada") == [3]
    assert await places(about="switch tenant:a%") == [0]
    assert await places(about='token "x"') == [2]
