"""Films made smaller: transcoded to H.264, cut into scenes, with a contact sheet of them; told frame by frame."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any, Final

import av
import numpy as np

SHEET_COLUMNS: Final = 4
THUMBNAIL: Final = (240, 135)
CUT: Final = 20.0
"""How much the colours change from one picture to the next, on average, when a scene begins."""


class PythonPredictor:
    """The class that `ringback serve` runs."""

    def __init__(self, config: dict[str, Any]) -> None:
        here = Path(__file__).parent
        self._films = here / config["films"]
        self._made = here / config["made"]
        self._made.mkdir(exist_ok=True)

    def predict(self, payload: dict[str, Any], workload: Any) -> dict[str, Any] | None:
        """Transcode one film.

        Args:
            payload: `film`, a file's name, and `height`, in pixels.
            workload: is told how far it has come.

        Returns:
            What was found in it, and where the new files are.
        """
        source = self._films / Path(str(payload["film"])).name
        if not source.is_file():
            raise FileNotFoundError(f"there is no film {source.name}")
        target, sheet = self._made / f"{workload.id}.mp4", self._made / f"{workload.id}.jpg"
        began = time.perf_counter()
        work = Transcoding(source, target, int(payload.get("height", 360)))
        with work:
            for frame in work.frames():
                if workload.cancelled:
                    target.unlink(missing_ok=True)
                    return None
                if work.is_cut(frame):
                    print(f"{frame.time:6.2f} s: scene {len(work.scenes)} begins")
                work.write(frame)
                done = f"frame {work.count} of {work.expected}, scene {len(work.scenes)}"
                workload.progress(min(1.0, work.count / work.expected), done)
        sheet.write_bytes(contact_sheet(work.thumbnails))
        took = time.perf_counter() - began
        print(f"wrote {target.name}, {target.stat().st_size} bytes, in {took:.1f} s")
        return {
            "file": str(target.relative_to(self._made.parent)),
            "contact_sheet": str(sheet.relative_to(self._made.parent)),
            "size": f"{work.width}x{work.height}",
            "seconds": round(work.count / work.rate, 2),
            "frames": work.count,
            "scenes": len(work.scenes),
            "bytes": {"before": source.stat().st_size, "after": target.stat().st_size},
            "times_faster_than_playing": round(work.count / work.rate / took, 1),
        }


class Transcoding:
    """One film on its way from one file into another; the sound goes along as it is."""

    def __init__(self, source: Path, target: Path, height: int) -> None:
        self._source = av.open(str(source))
        self._picture = self._source.streams.video[0]
        self.rate = float(self._picture.average_rate or 25)
        self.height = height // 2 * 2
        self.width = round(self._picture.width * height / self._picture.height) // 2 * 2
        self.expected = self._picture.frames or math.ceil(float(self._source.duration or 0) / 1e6 * self.rate) or 1
        self.count = 0
        self.scenes: list[float] = []
        self.thumbnails: list[Any] = []
        self._target = av.open(str(target), "w", options={"movflags": "faststart"})
        self._out = self._target.add_stream("libx264", rate=self._picture.average_rate)
        self._out.width, self._out.height, self._out.pix_fmt = self.width, self.height, "yuv420p"
        self._out.options = {"preset": "veryfast", "crf": "23"}
        self._sound = next(iter(self._source.streams.audio), None)
        self._sound_out = self._target.add_stream_from_template(self._sound) if self._sound else None
        self._before: Any = None

    def __enter__(self) -> Transcoding:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self._target.mux(self._out.encode(None))
        self._target.close()
        self._source.close()

    def frames(self) -> Any:
        """The pictures in their order; packets of sound are passed on in between."""
        streams = [each for each in (self._picture, self._sound) if each is not None]
        for packet in self._source.demux(*streams):
            if packet.stream is self._picture:
                yield from packet.decode()
            elif packet.dts is not None:
                packet.stream = self._sound_out
                self._target.mux(packet)

    def is_cut(self, frame: Any) -> bool:
        """Whether a scene begins with this picture."""
        small = frame.reformat(width=64, height=36, format="rgb24").to_ndarray().astype(np.int16)
        before, self._before = self._before, small
        if before is not None and np.abs(small - before).mean() < CUT:
            return False
        self.scenes.append(frame.time)
        width, height = THUMBNAIL
        self.thumbnails.append(frame.reformat(width=width, height=height, format="rgb24").to_ndarray())
        return True

    def write(self, frame: Any) -> None:
        """Encode one picture in its new size."""
        made = frame.reformat(width=self.width, height=self.height, format="yuv420p")
        made.pict_type = av.video.frame.PictureType.NONE
        self._target.mux(self._out.encode(made))
        self.count += 1


def contact_sheet(thumbnails: list[Any]) -> bytes:
    """One picture of them all, as JPEG."""
    width, height = THUMBNAIL
    columns = min(SHEET_COLUMNS, len(thumbnails))
    rows = math.ceil(len(thumbnails) / columns)
    sheet = np.zeros((rows * height, columns * width, 3), dtype=np.uint8)
    for place, each in enumerate(thumbnails):
        y, x = place // columns * height, place % columns * width
        sheet[y : y + height, x : x + width] = each
    encoder = av.CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt = sheet.shape[1], sheet.shape[0], "yuvj420p"
    encoder.time_base = 1
    frame = av.VideoFrame.from_ndarray(sheet, format="rgb24").reformat(format="yuvj420p")
    return b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])
