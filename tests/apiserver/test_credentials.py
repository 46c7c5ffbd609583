"""Keys, certificates and tokens on disk: made once, checked before they are used."""

from __future__ import annotations

from pathlib import Path

import pytest

from kaiki.apiserver.credentials import CredentialsDamaged, check_credentials, ensure_credentials, pki_folder


def test_damaged_credentials_are_told_with_what_to_do(tmp_path: Path) -> None:
    check_credentials(tmp_path)
    ensure_credentials(tmp_path)
    check_credentials(tmp_path)
    whole = {path: path.read_bytes() for path in pki_folder(tmp_path).iterdir()}
    used = ("server.crt", "server.key", "ca.crt", "service-account.key", "admin.token", "node.token")
    for path in sorted(path for path in whole if path.name in used):
        for content in (b"", b"x\n"):
            if content and path.suffix == ".token":
                continue
            path.write_bytes(content)
            with pytest.raises(CredentialsDamaged, match=f"{path.name}.*move .* away"):
                check_credentials(tmp_path)
        path.unlink()
        if path.name != "server.key":
            path.write_bytes(whole[path])
    # What the message says is done: all of the certificates moved away, new ones are made.
    for name in ("server.crt", "ca.crt", "ca.key"):
        (pki_folder(tmp_path) / name).unlink()
    ensure_credentials(tmp_path)
    check_credentials(tmp_path)
