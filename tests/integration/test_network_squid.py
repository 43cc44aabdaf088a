"""Through a real squid. It hands every tunnel on to a proxy of the test's own, which leads to a
receiver on loopback: nothing else is ever dialled, by squid neither.
"""

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trustme

from dispatcher.model.letter import Answer, Trouble
from dispatcher.network.settings import NetworkSettings, Proxy
from dispatcher.network.transport import Transport
from tests.support.hostile import answers, depart, go, make_letter, receiver, serving
from tests.support.proxy import Between, opens, proxy

pytestmark = pytest.mark.squid

HOST = "hooks.acme.example"
URL = f"https://{HOST}/in"
ALLOWED, FORBIDDEN = "8.8.8.8", "9.9.9.9"
START_SECONDS = 20.0
CONFIGURATION = """
http_port 127.0.0.1:{port}
visible_hostname squid.test
cache_peer 127.0.0.1 parent {parent} 0 no-query no-digest default
never_direct allow all
acl forbidden dst {forbidden}
http_access deny forbidden
http_access allow all
cache deny all
access_log none
cache_log /dev/null
pid_filename none
coredump_dir none
pinger_enable off
netdb_filename none
shutdown_lifetime 0 seconds
"""


@asynccontextmanager
async def squid(folder: Path, parent: Between) -> AsyncIterator[Proxy]:
    """Start squid, and wait until it listens."""
    program = shutil.which("squid")
    assert program, "these tests need squid"
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    file = folder / "squid.conf"
    file.write_text(CONFIGURATION.format(port=port, parent=parent.port, forbidden=FORBIDDEN))
    said = folder / "said"
    with said.open("wb") as output:
        running = await asyncio.create_subprocess_exec(
            program, "-N", "-d1", "-f", str(file), stdout=output, stderr=output
        )
    try:
        async with asyncio.timeout(START_SECONDS):
            while True:
                assert running.returncode is None, said.read_text()
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                except OSError:
                    await asyncio.sleep(0.1)
                else:
                    writer.transport.abort()
                    break
        yield Proxy(address="127.0.0.1", port=port)
    finally:
        if running.returncode is None:
            running.kill()
        await running.wait()


async def test_c8_a_real_squid_is_told_an_address_and_sees_nothing_of_the_letter(
    tmp_path: Path,
) -> None:
    authority = trustme.CA()
    tls = serving(authority.issue_cert(HOST))
    async with (
        receiver(answers(200, 202), tls=tls) as partner,
        proxy(partner.port, opens) as parent,
        squid(tmp_path, parent) as named,
    ):
        with authority.cert_pem.tempfile() as ca_file:
            door = Transport(NetworkSettings(ca_file=ca_file, proxy=named))
        letter = make_letter(URL, FORBIDDEN, ALLOWED)
        assert await door.post(letter, depart, go) == Answer(200)
        assert await door.post(letter, depart, go) == Answer(202)
        assert partner.connections == 1
        assert parent.asked == [f"{ALLOWED}:443"]
        assert b"webhook-id" not in parent.carried
        refused = await door.post(make_letter(URL, FORBIDDEN), depart, go)
        assert refused == Trouble("proxy_http_403", is_begun=False)
        plain = await door.post(make_letter(f"http://{HOST}/in", ALLOWED), depart, go)
        assert plain == Trouble("proxy_needs_tls", is_begun=False)
        await door.aclose()
