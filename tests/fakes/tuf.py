"""A TUF repository in a folder, honest, and dishonest where a test asks for it."""

import datetime as dt
import json
from pathlib import Path
from typing import Any, Final

from securesystemslib.signer._crypto_signer import CryptoSigner
from tuf.api._payload import MetaFile, TargetFile
from tuf.api._payload import Root as RootRole
from tuf.api._payload import Snapshot as SnapshotRole
from tuf.api._payload import Targets as TargetsRole
from tuf.api._payload import Timestamp as TimestampRole
from tuf.api.metadata import Metadata

from controller.roots.mirror import Mirror
from controller.roots.stored import TARGET

ROLES: Final = ("root", "timestamp", "snapshot", "targets")


class TufRepository:
    """Four roles with a key each, consistent snapshots, one target."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.signers = {role: CryptoSigner.generate_ed25519() for role in ROLES}
        self.expires = dt.datetime.now(dt.UTC) + dt.timedelta(days=30)
        self.root = RootRole(version=1, expires=self.expires, consistent_snapshot=True)
        for role in ROLES:
            self.root.add_key(self.signers[role].public_key, role)
        self.version = 0
        self.target = b""
        (folder / "targets").mkdir(parents=True)
        self.first = self.sign(self.root, "root")
        (folder / "1.root.json").write_bytes(self.first)

    def sign(self, role: Any, name: str) -> bytes:
        metadata = Metadata(role)
        metadata.sign(self.signers[name])
        return metadata.to_bytes()

    def publish(
        self, target: bytes, *, version: int | None = None, name: str = TARGET, expires: dt.datetime | None = None
    ) -> None:
        """Write a new version of everything that names `target`; `version` goes back where it is lower."""
        self.version = self.version + 1 if version is None else version
        self.target = target
        until = expires or self.expires
        entry = TargetFile.from_data(name, target)
        targets = TargetsRole(version=self.version, expires=self.expires, targets={name: entry})
        raw = self.sign(targets, "targets")
        (self.folder / f"{self.version}.targets.json").write_bytes(raw)
        snapshot = SnapshotRole(version=self.version, expires=self.expires, meta={"targets.json": MetaFile(self.version)})
        (self.folder / f"{self.version}.snapshot.json").write_bytes(self.sign(snapshot, "snapshot"))
        timestamp = TimestampRole(version=self.version, expires=until, snapshot_meta=MetaFile(self.version))
        (self.folder / "timestamp.json").write_bytes(self.sign(timestamp, "timestamp"))
        if "/" not in name:
            (self.folder / "targets" / f"{entry.hashes['sha256']}.{name}").write_bytes(target)

    def rotate(self, *, signed_by_old: bool = True) -> None:
        """A new root key; without the old one's signature nobody may follow."""
        new = CryptoSigner.generate_ed25519()
        old = self.signers["root"]
        self.root.version += 1
        self.root.revoke_key(old.public_key.keyid, "root")
        self.root.add_key(new.public_key, "root")
        metadata = Metadata(self.root)
        metadata.sign(new)
        if signed_by_old:
            metadata.sign(old, append=True)
        (self.folder / f"{self.root.version}.root.json").write_bytes(metadata.to_bytes())
        self.signers["root"] = new

    def stored_target(self) -> Path:
        (path,) = [path for path in (self.folder / "targets").iterdir() if path.read_bytes() == self.target]
        return path

    def mirror(self, name: str = "private", url: str = "") -> Mirror:
        return Mirror(name, url or self.folder.as_uri(), self.first)


def edited(raw: bytes, change: Any) -> bytes:
    """Metadata with its JSON changed and its signatures left as they were."""
    document = json.loads(raw)
    change(document["signed"])
    return json.dumps(document).encode()
