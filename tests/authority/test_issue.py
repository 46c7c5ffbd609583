"""Certificates say exactly what they should about their holder, and nothing outlives its root."""

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from kaiki.authority.authority import AuthorityError, CertificateAuthority, load_root, new_root, pem_of_key
from kaiki.authority.issue import SERVING_NAMES, shorten, subject_of
from kaiki.authority.version import CertificateVersion, parse_version
from kaiki.model.identity import Identity, WorkloadLabels

NOW = datetime(2030, 1, 1, 12, 0, tzinfo=UTC)
IDENTITY = Identity("shop", "cart")
LABELS = WorkloadLabels("cart-v2", "shop", "cart", "v2", "cart", "v2")
ROOT = new_root(NOW)


def authority(now: datetime = NOW, lifetime: timedelta = timedelta(hours=24)) -> CertificateAuthority:
    return CertificateAuthority(ROOT, clock=lambda: now, lifetime=lifetime)


def test_a_workload_certificate_has_one_spiffe_uri_and_the_metric_labels() -> None:
    certificate = x509.load_pem_x509_certificate(authority().issue(IDENTITY, LABELS).certificate_pem)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [name.value for name in names] == ["spiffe://cluster.local/ns/shop/sa/cart"]
    assert certificate.subject.rfc4514_string() == "CN=cart-v2,OU=cart,O=v2,L=cart,ST=v2,DC=Kubernetes"
    assert certificate.not_valid_after_utc == NOW + timedelta(hours=24)
    certificate.verify_directly_issued_by(ROOT.certificate)


def test_the_serving_certificate_has_istiods_names() -> None:
    pair = authority().serving_pair()
    certificate = x509.load_pem_x509_certificate(pair.certificate_pem)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert tuple(names.get_values_for_type(x509.DNSName)) == SERVING_NAMES
    assert NOW < pair.rotate_at < certificate.not_valid_after_utc


def test_a_leaf_does_not_outlive_its_root() -> None:
    late = ROOT.certificate.not_valid_after_utc - timedelta(hours=1)
    certificate = x509.load_pem_x509_certificate(authority(late).issue(IDENTITY, LABELS).certificate_pem)
    assert certificate.not_valid_after_utc == ROOT.certificate.not_valid_after_utc


def test_openssl_accepts_the_chain(tmp_path: Path) -> None:
    root, leaf = tmp_path / "root.pem", tmp_path / "leaf.pem"
    root.write_bytes(ROOT.bundle_pem)
    leaf.write_bytes(authority().issue(IDENTITY, LABELS).certificate_pem)
    at = str(int((NOW + timedelta(hours=1)).timestamp()))
    try:
        done = subprocess.run(
            ["openssl", "verify", "-x509_strict", "-attime", at, "-CAfile", root, leaf], capture_output=True
        )
    except FileNotFoundError:
        pytest.skip("no openssl on this machine")
    assert done.returncode == 0, done.stdout + done.stderr


@given(st.text(min_size=1, max_size=300))
@settings(max_examples=50, deadline=None)
def test_any_name_fits_a_subject(name: str) -> None:
    subject = subject_of(WorkloadLabels(name, "n", name, name, name, name, name))
    for attribute in subject:
        assert len(attribute.value) <= 128
        assert not set(attribute.value) & set(';,+"\\<>= \n')
    assert len(subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value) <= 64


def test_long_names_with_one_beginning_stay_apart() -> None:
    first, second = shorten("a" * 70 + "x", 64), shorten("a" * 70 + "y", 64)
    assert first != second and len(first) == len(second) == 64 and shorten("a" * 64, 64) == "a" * 64


def test_a_good_certificate_stays_until_its_rotation_time() -> None:
    version = authority().issue(IDENTITY, LABELS).version
    held = parse_version(version)
    assert held is not None and NOW + timedelta(hours=18) <= held.rotate_at <= NOW + timedelta(hours=20.4)
    restarted = authority(NOW + timedelta(hours=17))
    assert restarted.rotation_time(version, IDENTITY, LABELS) == held.rotate_at
    assert authority(held.rotate_at).rotation_time(version, IDENTITY, LABELS) is None


def test_a_certificate_of_another_holder_or_root_is_replaced() -> None:
    version = authority().issue(IDENTITY, LABELS).version
    relabelled = WorkloadLabels("cart-v3", "shop", "cart", "v3", "cart", "v3")
    other = CertificateAuthority(new_root(NOW), clock=lambda: NOW)
    assert authority().rotation_time(version, Identity("shop", "other"), LABELS) is None
    assert authority().rotation_time(version, IDENTITY, relabelled) is None
    assert other.rotation_time(version, IDENTITY, LABELS) is None
    assert authority().rotation_time("", IDENTITY, LABELS) is None
    assert authority().rotation_time("a.b.c.d.e", IDENTITY, LABELS) is None


@given(st.integers(1, 2**159), st.integers(0, 2**33), st.integers(1, 10**8))
def test_versions_survive_being_written(serial: int, expiry: int, lifetime: int) -> None:
    version = CertificateVersion(serial, expiry, lifetime, "r", "h")
    assert parse_version(str(version)) == version


def test_a_root_and_a_foreign_key_are_refused() -> None:
    with pytest.raises(AuthorityError, match="do not belong together"):
        load_root(ROOT.bundle_pem, pem_of_key(new_root(NOW).key))


def test_further_roots_are_trusted_beside_the_current_one() -> None:
    old = new_root(NOW)
    root = load_root(ROOT.bundle_pem, pem_of_key(ROOT.key), old.bundle_pem)
    assert root.bundle_pem == ROOT.bundle_pem + old.bundle_pem


def test_keys_do_not_show_in_logs() -> None:
    assert "PRIVATE" not in repr(authority().issue(IDENTITY, LABELS)) + repr(authority().serving_pair()) + repr(ROOT)


def test_a_version_tells_when_its_certificate_ends() -> None:
    version = authority().issue(IDENTITY, LABELS).version
    assert authority().expiry_time(version) == NOW.replace(microsecond=0) + timedelta(hours=24)
    assert authority().expiry_time("not one of ours") is None
