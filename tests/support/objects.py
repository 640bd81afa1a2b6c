"""A server that speaks S3, on loopback and in memory, and places for blobs: a folder, or a room in its bucket."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Final, Protocol

import requests
from obstore.store import S3Store

from ringback.core.blob import blob_key
from ringback.core.clock import Instant
from ringback.store.blobs.local import LocalBlobs
from ringback.store.blobs.objects import ObjectBlobs
from ringback.store.contract import Blobs
from support.processes import free_port
from support.waiting import until

BUCKET: Final = "ringback"
SPACE: Final = "00112233aabbccdd"
_START_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class S3:
    """One running server, with an empty bucket in it."""

    url: str

    @property
    def env(self) -> dict[str, str]:
        """What a process needs to find it."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "nobody",
            "AWS_SECRET_ACCESS_KEY": "nothing",
        }

    def store(self, room: str, url: str | None = None, bucket: str = BUCKET) -> S3Store:
        """A room in the bucket, as obstore sees it; at another URL if one is given."""
        return S3Store(
            bucket,
            prefix=room,
            endpoint=url or self.url,
            region="us-east-1",
            access_key_id="nobody",
            secret_access_key="nothing",
            client_options={"allow_http": True, "connect_timeout": "1s"},
            retry_config={"max_retries": 0},
        )

    def names(self, room: str) -> set[str]:
        """What is there, by the last part of each name."""
        text = requests.get(f"{self.url}/{BUCKET}?list-type=2&prefix={room}", timeout=10).text
        return {key.partition("</Key>")[0].rpartition("/")[2] for key in text.split("<Key>")[1:]}

    def unfinished(self) -> int:
        """How many uploads have been begun and neither ended nor taken back."""
        return requests.get(f"{self.url}/{BUCKET}?uploads", timeout=10).text.count("<Upload>")


@contextlib.contextmanager
def s3(port: int | None = None, *, knows_nobody: bool = False) -> Iterator[S3]:
    """Start moto's server; it is ended on the way out.

    Args:
        port: where; a free one by default.
        knows_nobody: whether it refuses whoever comes once the bucket is made, for their keys are none of its.
    """
    port = port or free_port()
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={
            **os.environ,
            **({"INITIAL_NO_AUTH_ACTION_COUNT": "1"} if knows_nobody else {}),
            "AWS_ACCESS_KEY_ID": "nobody",
            "AWS_SECRET_ACCESS_KEY": "nothing",
        },
    )
    url = f"http://127.0.0.1:{port}"

    def made() -> bool:
        try:
            return requests.put(f"{url}/{BUCKET}", timeout=5).status_code == 200
        except requests.ConnectionError:
            return False

    try:
        until(made, within=_START_SECONDS, wanted="a server that speaks S3")
        yield S3(url=url)
    finally:
        process.kill()
        process.wait(10)


class Place(Protocol):
    """Where blobs are, seen from outside."""

    def open(self, *, space: str = SPACE) -> Blobs:
        """Open it once more."""
        ...

    def names(self) -> set[str]:
        """The names of all blobs and whatever else is there."""
        ...

    def put(self, name: str, space: str = SPACE) -> None:
        """Somebody else puts something there."""
        ...

    def unreachable(self) -> Blobs:
        """The same place while it cannot be reached."""
        ...

    def missing(self) -> Blobs:
        """A place that is not there, though it can be asked for."""
        ...


@dataclass(slots=True)
class _Names:
    numbers: count[int] = field(default_factory=lambda: count(1))

    def __call__(self) -> str:
        return blob_key(Instant(1_700_000_000_000_000), next(self.numbers))


@dataclass(slots=True)
class Folder:
    """A folder of the local disk."""

    path: Path
    name: _Names = field(default_factory=_Names)

    def open(self, *, space: str = SPACE) -> Blobs:
        return LocalBlobs(self.path, space, self.name)

    def names(self) -> set[str]:
        return {file.name for file in self.path.glob("[!s]*/**/*") if file.is_file()}

    def put(self, name: str, space: str = SPACE) -> None:
        file = self.path / space / "aa" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"not ours")

    def unreachable(self) -> Blobs:
        blobs = LocalBlobs(self.path.with_name("unplugged"), SPACE, self.name)
        self.path.with_name("unplugged").rename(self.path.with_name("elsewhere"))
        return blobs

    def missing(self) -> Blobs:
        return self.unreachable()


@dataclass(slots=True)
class Room:
    """A room in a bucket."""

    s3: S3
    room: str
    spool: Path
    name: _Names = field(default_factory=_Names)

    def open(self, *, space: str = SPACE) -> Blobs:
        url = f"s3://{BUCKET}/{self.room}"
        return ObjectBlobs(self.s3.store(self.room), url, space, name=self.name, spool=self.spool)

    def names(self) -> set[str]:
        return self.s3.names(self.room)

    def put(self, name: str, space: str = SPACE) -> None:
        requests.put(f"{self.s3.url}/{BUCKET}/{self.room}/{space}/aa/{name}", data=b"not ours", timeout=10)

    def unreachable(self) -> Blobs:
        nowhere = self.s3.store(self.room, f"http://127.0.0.1:{free_port()}")
        return ObjectBlobs(nowhere, "s3://nowhere", SPACE, name=self.name, spool=self.spool)

    def missing(self) -> Blobs:
        nowhere = self.s3.store(self.room, bucket="no-such-bucket")
        return ObjectBlobs(nowhere, "s3://no-such-bucket", SPACE, name=self.name, spool=self.spool)
