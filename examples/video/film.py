"""Makes the film that the example works on: a ball bounces through scenes of changing colour and tone, under a clock.

`python film.py` writes film.mp4 beside this file.
"""

from __future__ import annotations

import os
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any, Final

import av
import numpy as np

FILM: Final = Path(__file__).with_name("film.mp4")
SECONDS: Final = float(os.environ.get("RINGBACK_DEMO_SECONDS", "30"))
WIDTH, HEIGHT, RATE = 1280, 720, 30
BALL: Final = 50
SCENE_SECONDS: Final = 4
SOUND_RATE: Final = 48_000
SOUND_FRAME: Final = 1_024

PALETTE: Final = ((230, 80, 60), (60, 140, 230), (70, 190, 110), (240, 180, 60), (150, 90, 210), (90, 100, 110))
SEGMENTS: Final = ("abcdef", "bc", "abged", "abgcd", "fgbc", "afgcd", "afgedc", "abc", "abcdefg", "abcdfg")
"""Which strokes of a seven-segment display each digit has."""

Pixels = Any
"""An array of height x width x 3 bytes."""


def make(path: Path = FILM, seconds: float = SECONDS) -> Path:
    """Write the film; takes a few seconds.

    Args:
        path: where to.
        seconds: how long it lasts.
    """
    being_made = path.with_suffix(".part.mp4")
    with av.open(str(being_made), "w") as film:
        picture = film.add_stream("mpeg4", rate=RATE)
        picture.width, picture.height, picture.pix_fmt, picture.bit_rate = WIDTH, HEIGHT, "yuv420p", 8_000_000
        sound = film.add_stream("aac", rate=SOUND_RATE, layout="mono")
        sounds_at = 0
        for number in range(round(seconds * RATE)):
            frame = av.VideoFrame.from_ndarray(drawn(number), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            film.mux(picture.encode(frame))
            while sounds_at < (number + 1) * SOUND_RATE // RATE:
                film.mux(sound.encode(tone(sounds_at)))
                sounds_at += SOUND_FRAME
        film.mux(picture.encode(None))
        film.mux(sound.encode(None))
    return being_made.replace(path)


@cache
def backdrop(scene: int) -> Pixels:
    """A scene's colour, darker towards the top."""
    colour = np.array(PALETTE[scene % len(PALETTE)], dtype=np.float32)
    shade = np.linspace(0.25, 1.0, HEIGHT, dtype=np.float32)[:, None, None]
    return np.broadcast_to((shade * colour).astype(np.uint8), (HEIGHT, WIDTH, 3)).copy()


def drawn(number: int) -> Pixels:
    """One picture."""
    moment = number / RATE
    scene = int(moment // SCENE_SECONDS)
    picture = backdrop(scene).copy()
    x = int(WIDTH / 2 + WIDTH * 0.4 * np.sin(moment * (1.1 + 0.3 * scene)))
    y = int(HEIGHT - 60 - abs(np.sin(moment * 3)) * HEIGHT * 0.6)
    rows, columns = np.ogrid[y - BALL : y + BALL, x - BALL : x + BALL]
    around = picture[y - BALL : y + BALL, x - BALL : x + BALL]
    around[(rows - y) ** 2 + (columns - x) ** 2 < BALL**2] = 255
    clock = f"{int(moment // 60):02}{int(moment % 60):02}{int(moment * 100 % 100):02}"
    for place, digit in enumerate(clock):
        draw_digit(picture, int(digit), 60 + place * 70 + place // 2 * 30)
    return picture


def draw_digit(picture: Pixels, digit: int, x: int, y: int = 60, size: int = 50) -> None:
    """Paint one digit in seven segments, its upper left corner at (x, y)."""
    thick = size // 6
    strokes = {
        "a": (y, y + thick, x, x + size),
        "b": (y, y + size, x + size - thick, x + size),
        "c": (y + size, y + 2 * size, x + size - thick, x + size),
        "d": (y + 2 * size - thick, y + 2 * size, x, x + size),
        "e": (y + size, y + 2 * size, x, x + thick),
        "f": (y, y + size, x, x + thick),
        "g": (y + size - thick // 2, y + size + thick // 2, x, x + size),
    }
    for stroke in SEGMENTS[digit]:
        top, bottom, left, right = strokes[stroke]
        picture[top:bottom, left:right] = 255


def tone(at: int) -> av.AudioFrame:
    """A little sound; each scene has its own note."""
    moments = (at + np.arange(SOUND_FRAME)) / SOUND_RATE
    pitch = 220 * 2 ** (int(at / SOUND_RATE // SCENE_SECONDS) % 12 / 12)
    wave = (0.2 * np.sin(2 * np.pi * pitch * moments)).astype(np.float32)[None, :]
    frame = av.AudioFrame.from_ndarray(wave, format="fltp", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = SOUND_RATE, at, Fraction(1, SOUND_RATE)
    return frame


if __name__ == "__main__":
    make()
    print(f"{FILM.name}: {SECONDS:g} s of {WIDTH}x{HEIGHT}, {FILM.stat().st_size / 1e6:.1f} MB")
