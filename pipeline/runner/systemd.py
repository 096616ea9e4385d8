"""What systemd is told by a service of ``Type=notify``: that it is up, that its loop turns, that it is ending."""

from __future__ import annotations

import contextlib
import math
import os
import socket
import time

EVERY_SECONDS = 10.0


class Heartbeat:
    """Speaks to the socket that systemd has named in the environment; where there is none, to nobody.

    See sd_notify(3), which is one datagram.
    """

    def __init__(self) -> None:
        self._address = os.environ.get("NOTIFY_SOCKET", "")
        self._told = -math.inf

    def beat(self) -> None:
        """Say that all is well, now and then."""
        if self._address and time.monotonic() - self._told >= EVERY_SECONDS:
            self._told = time.monotonic()
            self._say("READY=1\nWATCHDOG=1")

    def end(self) -> None:
        """Say that it is ending in order."""
        if self._address:
            self._say("STOPPING=1")

    def _say(self, message: str) -> None:
        address = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as to:
            to.sendto(message.encode("ascii"), address)
