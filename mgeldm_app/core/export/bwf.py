"""The `bext` chunk of a Broadcast Wave file (EBU Tech 3285, version 1), by which a DAW puts a file at its place."""

from __future__ import annotations

import struct
from datetime import datetime

PROGRAM = "MGE-LDM Desktop"


def broadcast_chunk(
    time_reference: int, description: str, reference: str, rate_hz: int, channels: int, bits: int
) -> bytes:
    """The whole chunk.

    Args:
        time_reference: Where the file begins, in samples from the beginning of the song.
        description: What it holds; letters beyond ASCII become question marks, as the standard wants.
        reference: A name for where it comes from.
        rate_hz: Of the file.
        channels: Of the file.
        bits: Of a sample.
    """
    now = datetime.now()
    mode = {1: "mono", 2: "stereo"}.get(channels, "multitrack")
    history = f"A=PCM,F={rate_hz},W={bits},M={mode},T={PROGRAM}\r\n".encode("ascii")
    history += bytes(len(history) % 2)
    body = struct.pack(
        "<256s32s32s10s8sQH64s190x",
        description.encode("ascii", "replace"),
        PROGRAM.encode("ascii"),
        reference.encode("ascii", "replace"),
        now.strftime("%Y-%m-%d").encode("ascii"),
        now.strftime("%H:%M:%S").encode("ascii"),
        time_reference,
        1,
        b"",
    )
    return struct.pack("<4sI", b"bext", len(body) + len(history)) + body + history
