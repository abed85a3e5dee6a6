"""A file system of a test's own on a file, whose power can be cut: what was not synchronised is gone afterwards."""

from __future__ import annotations

import fcntl
import os
import shutil
import struct
import subprocess
from typing import TYPE_CHECKING

import pytest

from polis.testing import eventually

if TYPE_CHECKING:
    from pathlib import Path

SIZE_BYTES = 768 * 1024 * 1024
"""Of the sparse file; little of it is ever written."""
_SHUTDOWN = 0x8004587D
_WITHOUT_THE_LOG = 2
_TOOLS = ("mkfs.ext4", "mount", "umount")


class Volume:
    """ext4 on a loop device. EXT4_IOC_SHUTDOWN without a flush of its log is as close to a power cut as software comes."""

    def __init__(self, folder: Path, name: str) -> None:
        self._file = folder / f"{name}.ext4"
        self.place = folder / name

    def make(self) -> None:
        """Skips the test where this cannot be done, and says why."""
        if os.geteuid() != 0:
            pytest.skip("power cuts need root, to mount a volume and shut it down")
        missing = [tool for tool in _TOOLS if shutil.which(tool) is None]
        if missing:
            pytest.skip(f"power cuts need {', '.join(missing)}")
        self.place.mkdir()
        with self._file.open("wb") as file:
            file.truncate(SIZE_BYTES)
        for command in (["mkfs.ext4", "-q", "-F", str(self._file)], self._mount()):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                pytest.skip(f"power cuts need a loop mount, and {command[0]} says: {done.stderr.strip()}")
        self.place.chmod(0o711)

    def cut(self) -> None:
        """The power is gone: from now on nothing is written any more."""
        descriptor = os.open(self.place, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, _SHUTDOWN, struct.pack("I", _WITHOUT_THE_LOG))
        finally:
            os.close(descriptor)

    async def restore(self) -> None:
        """The power is back: what had reached the disk is there. Whoever used the volume has to be gone."""
        await self.end()
        assert self._done(self._mount())

    async def end(self) -> None:
        if self.mounted():
            await eventually(lambda: self._done(["umount", str(self.place)]), within_s=10)

    def _mount(self) -> list[str]:
        return ["mount", "-o", "loop", str(self._file), str(self.place)]

    def mounted(self) -> bool:
        return self.place.is_mount()

    def _done(self, command: list[str]) -> bool:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
