"""A mail server that does nothing but say yes, as fast as Python can, and counts; a process of its own.

``python mail_sink.py PORT`` writes the number of messages and of distinct Message-IDs, when its input ends.
"""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from loyalty.local.kept import free_port
from loyalty.mail.handover import MailServer

GREETING = b"220 sink\r\n"
HELLO = b"250-sink\r\n250 PIPELINING\r\n"
END = b"\r\n.\r\n"


class Sink(asyncio.Protocol):
    """One connection: commands line by line, letters up to their dot."""

    taken = 0
    seen: set[bytes] = set()  # noqa: RUF012 - of all connections

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport, self.buffer, self.reads_letter = transport, b"", False
        transport.write(GREETING)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        replies = []
        while True:
            end = END if self.reads_letter else b"\r\n"
            part, found, rest = self.buffer.partition(end)
            if not found:
                break
            self.buffer = rest
            replies.append(self._letter(part) if self.reads_letter else self._command(part))
        if replies:
            self.transport.write(b"".join(replies))  # type: ignore[attr-defined]

    def _letter(self, letter: bytes) -> bytes:
        self.reads_letter = False
        Sink.taken += 1
        Sink.seen.add(letter[: letter.index(b"\r\n")])
        return b"250 taken\r\n"

    def _command(self, line: bytes) -> bytes:
        match line[:4].upper():
            case b"EHLO" | b"HELO":
                return HELLO
            case b"DATA":
                self.reads_letter = True
                return b"354 go on\r\n"
            case b"QUIT":
                return b"221 bye\r\n"
        return b"250 ok\r\n"


@dataclass(frozen=True)
class RunningSink:
    """A sink that takes letters."""

    server: MailServer
    process: "subprocess.Popen[str]"

    @property
    def pid(self) -> int:
        return self.process.pid

    def taken(self) -> tuple[int, int]:
        """How many messages came, and how many different ones; none comes any more."""
        out, _ = self.process.communicate()
        count, distinct = out.split()
        return int(count), int(distinct)


@contextmanager
def running_sink() -> Iterator[RunningSink]:
    """A sink in a process of its own."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, __file__, str(port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield RunningSink(MailServer("127.0.0.1", port, security="none"), process)
    finally:
        process.kill()
        process.wait()


async def serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Sink, "127.0.0.1", port)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)
    server.close()
    sys.stdout.write(f"{Sink.taken} {len(Sink.seen)}\n")


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
