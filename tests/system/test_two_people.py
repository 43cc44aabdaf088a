"""From an empty folder to an active partner by two people, with the messages as the only guide."""

from pathlib import Path

import pytest

from tests.support.desk import Desk


@pytest.fixture
def desk(company: Desk, tmp_path: Path) -> Desk:
    return company.copy(tmp_path / "company")


def test_a_partner_becomes_active_by_two_people(desk: Desk) -> None:
    shown = desk.run("plan", "integrations", status=3)
    assert "+ field" in shown
    assert "order.paid $.order.id (internal other)" in shown
    assert "approval" in shown
    refused = desk.ask("apply", "integrations", status=3)
    assert refused["code"] == "approval_required"
    assert "dispatcher principal add" in refused["fix"]
    waits = desk.run("apply", "integrations", "--reason", "PART-7", by="pat", status=3)
    assert "dispatcher approve 1" in waits
    assert "PART-7" in desk.run("changes")
    own = desk.ask("approve", "1", "--hash", "0" * 64, by="pat", status=4)
    assert own["code"] == "self_approval"
    no = desk.run("approve", "1", by="bea", given="n\n", status=130)
    assert "stopped" in no
    done = desk.run("approve", "1", by="bea", given="y\n")
    assert "Approve change set 1?" in done
    assert "revision 1 is active" in done
    assert "whsec_" in done
    desk.run("export", "exported")
    assert "Nothing would change" in desk.run("plan", "exported")
    (made,) = desk.ask("revisions")
    assert (made["author"], made["approver"], made["reason"]) == ("pat", "bea", "PART-7")


def test_a_script_approves_exactly_what_it_read(desk: Desk) -> None:
    desk.run("apply", "integrations", by="pat", status=3)
    missing = desk.ask("approve", "1", by="bea", status=2)
    assert missing["code"] == "hash_missing"
    read = desk.ask("changes", "1")
    assert (read["state"], read["direction"], read["author"]) == ("proposed", "widens", "pat")
    desk.write(("$.order.id", "$.order.note"))
    desk.run("apply", "integrations", "--amend", "1", by="pat", status=3)
    stale = desk.ask("approve", "1", "--hash", read["hash"], by="bea", status=2)
    assert stale["code"] == "change_set_edited"
    outcome = desk.ask("approve", "1", "--hash", desk.ask("changes", "1")["hash"], by="bea")
    assert (outcome["active"], outcome["revision"]) == (True, 1)
    assert list(outcome["secrets"]) == ["acme-orders"]


def test_narrowing_takes_one_person_and_going_back_takes_two(desk: Desk) -> None:
    desk.write(("$.order.id", "$.order.note"))
    desk.run("apply", "integrations", by="pat", status=3)
    desk.run("approve", "1", by="bea", given="y\n")
    desk.write()
    assert "- field" in desk.run("plan", "integrations")
    assert "revision 2 is active" in desk.run("apply", "integrations", by="pat")
    back = desk.ask("rollback", "1", by="pat", status=3)
    assert (back["active"], back["change_set"]) == (False, 2)
    assert "rejected" in desk.run("reject", "2", "--reason", "not needed", by="bea")
    (ended,) = [each for each in desk.ask("changes", "--all") if each["number"] == 2]
    assert (ended["state"], ended["decision"]) == ("rejected", "not needed")
    unknown = desk.ask("rollback", "9", by="pat", status=2)
    assert unknown["code"] == "revision_unknown"


def test_a_token_can_be_taken_away_at_once_and_an_incident_needs_none(desk: Desk) -> None:
    listed = {each["principal"]: each["id"] for each in desk.ask("token", "list")}
    assert desk.ask("token", "revoke", listed["pat"], by="bea", status=4)["code"] == "forbidden"
    desk.run("token", "revoke", listed["pat"], by="ada")
    revoked = desk.ask("apply", "integrations", by="pat", status=2)
    assert revoked["code"] == "token_revoked"
    assert desk.tokens["pat"] not in str(revoked)
    assert desk.ask("hold", "everything", "--reason", "INC-1")["switch"] == 1
    assert desk.ask("release", "everything", by="bea", status=4)["code"] == "forbidden"
    desk.run("release", "everything")
    assert "revoked" in desk.run("token", "list")


def test_people_are_added_by_an_admin_alone(desk: Desk) -> None:
    for by in ("", "pat"):
        refused = desk.ask("principal", "add", "eve", "--role", "approver", by=by, status=4)
        assert refused["code"] == "forbidden"
        assert "admin" in refused["fix"]
    assert {each["name"] for each in desk.ask("principal", "list")} == {"ada", "bea", "pat"}
