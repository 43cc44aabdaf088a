"""The doctor at a listener that is served, and at a registry that needs one."""

from pathlib import Path

import pytest

from dispatcher.app.finding import Remark
from dispatcher.app.partner_checks import look_at_address, look_at_identity, look_at_need
from dispatcher.app.partner_section import PartnerSection
from dispatcher.model.errors import ConfigInvalid
from dispatcher.model.keys import SigningProfile
from tests.support.certificates import write_identity
from tests.support.fetching import BASE_URL, OURS, World, fetching


def served(world: World):
    """Give the configuration with the port that is listened on."""
    partner = world.config.partner.model_copy(update={"port": world.port})
    return world.config.model_copy(update={"partner": partner})


async def test_a_listener_of_ours_is_known_by_its_certificate_until_that_is_replaced(
    tmp_path: Path, sqlite_url: str
):
    async with fetching(tmp_path, sqlite_url) as world:
        config = served(world)
        need = "for the tickets of acme-orders"
        assert await look_at_need(config) == f"partners call {BASE_URL}; {need}"
        assert "is for events.north.example, ends in" in str(await look_at_identity(config))
        place = f"127.0.0.1:{world.port}"
        assert await look_at_address(config) == f"{place} is served with this certificate"
        write_identity(tmp_path, OURS.issue_cert("events.north.example"))
        with pytest.raises(ConfigInvalid, match="does not show this certificate") as raised:
            await look_at_address(config)
        assert raised.value.reason == "address_in_use"


@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
async def test_a_listener_that_is_needed_and_off_is_a_warning(
    tmp_path: Path, engine: str, request: pytest.FixtureRequest
):
    url = request.getfixturevalue(f"{engine}_url")
    async with fetching(tmp_path, url, signing=SigningProfile.V1A) as world:
        config = world.config.model_copy(update={"partner": PartnerSection()})
        said = await look_at_need(config)
    assert isinstance(said, Remark)
    assert said.code == "partner_listener_missing"
    need = "the public keys of acme-orders and the tickets of acme-orders"
    assert said.said == f"off here, and it is for {need}"
    assert "dispatcher partner" in said.fix
