"""Whether a file lies on a network file system, where SQLite's write-ahead log must not be used.

The log is indexed in memory that processes share, and processes on two machines share none: https://sqlite.org/wal.html
"""

from __future__ import annotations

import os
import re
from pathlib import Path

MOUNTS = Path("/proc/self/mountinfo")
NETWORK = frozenset(
    {"9p", "afs", "beegfs", "ceph", "cifs", "fuse.sshfs", "glusterfs", "fuse.glusterfs", "gpfs", "lustre"}
    | {"ncpfs", "nfs", "nfs4", "smb3", "smbfs", "virtiofs"}
)


def network_file_system(file: Path) -> str | None:
    """The type of the network file system that `file` is or would be on; None on a local one, or where nobody says."""
    try:
        lines = MOUNTS.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:  # not Linux
        return None
    path = os.path.realpath(file)
    kind, longest = None, -1
    for line in lines:
        before, _, after = line.partition(" - ")
        point = re.sub(r"\\(\d{3})", lambda octal: chr(int(octal[1], 8)), before.split(" ")[4])
        if len(point) >= longest and (path == point or path.startswith(point.rstrip("/") + "/")):
            kind, longest = after.split(" ")[0], len(point)  # of two at one place, the later one is seen
    return kind if kind in NETWORK else None
