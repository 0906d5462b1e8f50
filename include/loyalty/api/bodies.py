"""Bodies of requests, within bounds, taken apart into the JSON text of each item."""

import re
from collections.abc import AsyncIterator, Iterator

from fastapi import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from loyalty.api.problems import ProblemError
from loyalty.services.take_events import LONGEST_ITEM

MAX_BODY = 4 << 20
MAX_STREAM = 256 << 20
MAX_ITEMS = 1000
# Strings as a whole, so that nothing in them is taken for structure; one that does not end goes on to the end. Nothing
# is tried twice (possessive), whatever is sent.
TOKEN = re.compile(r'"(?:[^"\\]++|\\.)*+"?+|[\[\]{},]', re.DOTALL)
# What stands for a line that is too long.
TOO_LONG = "x" * (LONGEST_ITEM + 1)


async def whole_body(request: Request) -> str:
    """The body as text; one that is too large, or not UTF-8, is a problem."""
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > MAX_BODY:
            raise ProblemError(413, "too_large", f"the body is larger than {MAX_BODY >> 20} MiB: send it in parts")
        parts.append(part)
    try:
        return b"".join(parts).decode("utf-8")
    except UnicodeDecodeError as error:
        raise ProblemError(400, "unreadable", f"the body is not UTF-8: byte {error.start}") from None


def items_of(body: str) -> list[str]:
    """The items of a JSON array, or its one object, each as it is written; whether they are JSON is not asked here."""
    text = body.strip(" \t\r\n")
    if not text.startswith("["):
        return [text]
    items = list(_split(text))
    if len(items) > MAX_ITEMS:
        raise ProblemError(413, "too_large", f"{len(items):,} events at once: {MAX_ITEMS:,} is the most")
    return items


def _split(array: str) -> Iterator[str]:
    depth, start = 0, 1
    for token in TOKEN.finditer(array):
        mark = token[0]
        if mark in "[{":
            depth += 1
        elif mark in "]}":
            depth -= 1
        if (mark == "," and depth == 1) or depth == 0:
            item = array[start : token.start()].strip(" \t\r\n")
            if item or mark == "," or start > 1:
                yield item
            start = token.end()
        if depth == 0:
            break
    if depth or start < len(array):
        raise ProblemError(400, "unreadable", f"the body is no JSON array: it goes wrong at character {start + 1}")


async def lines_of(request: Request) -> AsyncIterator[list[str]]:
    """The lines of a stream that are not blank, by up to MAX_ITEMS and MAX_BODY; TOO_LONG for one that is."""
    waiting, begun, size, held = list[str](), bytearray(), 0, 0
    async for part in request.stream():
        size += len(part)
        if size > MAX_STREAM:
            told = "what came before is stored; to send it again changes nothing"
            raise ProblemError(413, "too_large", f"the stream is larger than {MAX_STREAM >> 20} MiB: {told}")
        *ended, rest = part.split(b"\n")
        for line in ended:
            begun += line
            if text := _line(begun):
                waiting.append(text)
                held += len(text)
            begun.clear()
            if len(waiting) == MAX_ITEMS or held > MAX_BODY:
                yield waiting
                waiting, held = [], 0
        if len(begun) <= LONGEST_ITEM:  # of a line that is too long already, nothing more is kept
            begun += rest
    if text := _line(begun):
        waiting.append(text)
    if waiting:
        yield waiting


def _line(line: bytes | bytearray) -> str:
    """The text of a line; what is not UTF-8 stands in it so that it is no JSON."""
    if len(line) > LONGEST_ITEM:
        return TOO_LONG
    return line.decode("utf-8", "backslashreplace").strip(" \t\r")


class Bounded:
    """Requests whose bodies are small, but for those that tell events, which see to it themselves."""

    def __init__(self, app: ASGIApp, spared: str) -> None:
        self.app, self.spared = app, spared

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The request is answered; a body that is too large cannot be read to its end."""
        if scope["type"] != "http" or scope["path"] == self.spared:
            await self.app(scope, receive, send)
            return
        size = 0

        async def counted() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > LONGEST_ITEM:
                raise ProblemError(413, "too_large", f"the body is larger than {LONGEST_ITEM >> 10} KiB")
            return message

        await self.app(scope, counted, send)
