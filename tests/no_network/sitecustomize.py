"""Refuse every connection that leaves this computer.

Put this folder into PYTHONPATH, and every Python process that starts, a notebook's kernel too,
behaves as if the network cable were pulled. Kernels talk to Jupyter through the loopback address,
which stays open.
"""

import errno
import socket
from typing import Any

LOOPBACK = {"localhost", "127.0.0.1", "::1", ""}


def _refuse(host: Any) -> None:
    if host is not None and host not in LOOPBACK:
        raise OSError(errno.ENETUNREACH, f"no network in this test, not even to {host}")


class _Socket(socket.socket):
    def connect(self, address: Any) -> None:
        if isinstance(address, tuple):
            _refuse(address[0])
        super().connect(address)

    def connect_ex(self, address: Any) -> int:
        if isinstance(address, tuple):
            _refuse(address[0])
        return super().connect_ex(address)

    def sendto(self, data: Any, *arguments: Any) -> int:
        if isinstance(arguments[-1], tuple):
            _refuse(arguments[-1][0])
        return super().sendto(data, *arguments)


_getaddrinfo = socket.getaddrinfo


def _local_getaddrinfo(host: Any, *arguments: Any, **keywords: Any) -> Any:
    _refuse(host)
    return _getaddrinfo(host, *arguments, **keywords)


socket.socket = _Socket  # type: ignore[misc]
socket.getaddrinfo = _local_getaddrinfo
