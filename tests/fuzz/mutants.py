"""Damaged copies of files: cut short, bytes flipped, parts repeated, headers that lie."""

import io
import json
import random
import re
import zipfile
from collections.abc import Callable

Mutation = Callable[[bytes, random.Random], bytes]


def cut(content: bytes, draw: random.Random) -> bytes:
    """Returns the beginning of a file."""
    return content[: draw.randrange(len(content))]


def flip(content: bytes, draw: random.Random) -> bytes:
    """Returns a file of which one to eight bytes are others, most often near its beginning."""
    damaged = bytearray(content)
    for _ in range(draw.choice((1, 1, 2, 8))):
        end = draw.choice((min(64, len(damaged)), min(1024, len(damaged)), len(damaged)))
        damaged[draw.randrange(end)] ^= 1 << draw.randrange(8)
    return bytes(damaged)


def blank(content: bytes, draw: random.Random) -> bytes:
    """Returns a file of which a part is zeros, as a disk leaves it that lost a page."""
    start = draw.randrange(len(content))
    length = min(draw.choice((16, 512, 4096)), len(content) - start)
    return content[:start] + bytes(length) + content[start + length :]


def repeat(content: bytes, draw: random.Random) -> bytes:
    """Returns a file of which a part stands twice."""
    start, length = draw.randrange(len(content)), draw.choice((1, 16, 512))
    return content[: start + length] + content[start:]


def _rezipped(content: bytes, change: Callable[[str, bytes], tuple[str, bytes]]) -> bytes:
    """Returns a zip archive, whole, of changed members."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(buffer, "w") as new:
        for name in old.namelist():
            new.writestr(*change(name, old.read(name)))
    return buffer.getvalue()


def member(content: bytes, draw: random.Random) -> bytes:
    """Returns an archive that is whole, one member of which is damaged."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        chosen = draw.choice(archive.namelist())
    damage = draw.choice((cut, flip, blank, repeat))
    return _rezipped(
        content, lambda name, data: (name, damage(data, draw) if name == chosen and data else data)
    )


def renamed(content: bytes, draw: random.Random) -> bytes:
    """Returns an archive of which one member has another name, as if it lay outside."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        chosen = draw.choice(archive.namelist())
    other = draw.choice(("../{}", "/tmp/{}", "..\\{}", "{}/", "./{}", "{}" * 40))
    other = other.replace("{}", chosen)
    return _rezipped(content, lambda name, data: (other if name == chosen else name, data))


def header(content: bytes, draw: random.Random) -> bytes:
    """Returns an array, or an archive of arrays, that declares another shape or type."""
    if content.startswith(b"PK"):
        return _rezipped(content, lambda name, data: (name, _lying(data, draw)))
    return _lying(content, draw)


def _lying(content: bytes, draw: random.Random) -> bytes:
    other = draw.choice(
        (
            (rb"\(\d[^)]*\)", b"(%d, %d)" % (10**12, 10**6)),
            (rb"\(\d[^)]*\)", b"(-1, 4)"),
            (rb"\(\d[^)]*\)", b"()"),
            (rb"\(\d[^)]*\)", b"(True, 2**9)"),
            (rb"'[<|>][a-z]\d+'", b"'|O'"),
            (rb"'[<|>][a-z]\d+'", b"'<U9'"),
            (rb"'[<|>][a-z]\d+'", b"'<f16'"),
            (rb"'[<|>][a-z]\d+'", b"'<c8'"),
        )
    )
    return re.sub(*other, content, count=1)


def configuration(content: bytes, draw: random.Random) -> bytes:
    """Returns a saved model of whose configuration one value is another."""

    def change(name: str, data: bytes) -> tuple[str, bytes]:
        if name != "config.json":
            return name, data
        config = json.loads(data)
        places = list(_places(config))
        holder, key = draw.choice(places)
        values = (None, -1, 10**12, "", "os", [], {}, True, 0.5, [None], "Lambda", {"a": 1})
        if draw.random() < 0.3:
            del holder[key]
        else:
            holder[key] = draw.choice(values)
        return name, json.dumps(config).encode()

    return _rezipped(content, change)


def _places(value: object):
    """Yields each container in a nest with each of its keys."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in items:
        yield value, key
        if isinstance(inner, dict | list):
            yield from _places(inner)


BYTES: tuple[Mutation, ...] = (cut, flip, flip, blank, repeat)
ARCHIVE: tuple[Mutation, ...] = (*BYTES, member, member, renamed)
