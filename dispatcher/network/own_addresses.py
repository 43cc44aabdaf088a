"""The addresses that this machine itself has, by interface.

Asked at start, so that no letter is ever sent to the machine it leaves from, and by `doctor`. Reads
what the kernel knows; it sends nothing.
"""

import psutil


def list_interfaces() -> dict[str, tuple[str, ...]]:
    """Give the IP addresses of every interface, loopback included, without their zones."""
    families = {"AF_INET", "AF_INET6"}
    found = {
        name: tuple(
            each.address.partition("%")[0] for each in given if each.family.name in families
        )
        for name, given in psutil.net_if_addrs().items()
    }
    return {name: addresses for name, addresses in sorted(found.items()) if addresses}
