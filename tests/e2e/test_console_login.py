"""Several people share a console: accounts of a provider, rights of Kubernetes, and the ways out that are shown."""

from __future__ import annotations

import datetime
import ipaddress
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from mesh import Mesh, chromium, wait_until
from playwright.sync_api import Page, expect, sync_playwright

pytestmark = pytest.mark.e2e

HOST = "host.kaiki.internal"  # This machine, as pods see it.
FLAGS = ["--no-sandbox", "--disable-gpu", f"--host-resolver-rules=MAP {HOST} 127.0.0.1"]
PROVIDER = Path(__file__).parents[1] / "console" / "fake_provider.py"
NEW_OBJECT = "/config/new"


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate of its own authority for this machine's name in pods, and its key."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    names = [x509.DNSName(HOST), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - datetime.timedelta(hours=1)).not_valid_after(now + datetime.timedelta(1))
    builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / "ca.crt").write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    (folder / "tls.key").write_bytes(key.private_bytes(serialization.Encoding.PEM, *form))
    return folder / "ca.crt", folder / "tls.key"


@contextmanager
def provider(chain: Path, key: Path) -> Iterator[str]:
    """A provider on a free port of this machine: its issuer."""
    command = [sys.executable, str(PROVIDER), f"--host={HOST}", f"--chain={chain}", f"--key={key}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def shared(mesh: Mesh, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    """A mesh whose console lets people of a provider in, acting as them."""
    chain, key = certificate(tmp_path_factory.mktemp("provider"))
    with provider(chain, key) as issuer:
        secret = ["--from-literal=client-secret=s3cret/+", f"--from-file=ca.crt={chain}"]
        mesh.kubectl("create", "secret", "generic", "kaiki-console-oidc", "-n", "istio-system", *secret)
        chosen = {"issuer": issuer, "clientId": "kaiki", "caKey": "ca.crt", "identity": "impersonate"}
        settings = [part for name, text in chosen.items() for part in ("--set", f"console.oidc.{name}={text}")]
        mesh.kaiki("install", "-y", *settings)
        login = mesh.environment["KAIKI_CONSOLE_URL"] + "/login"
        wait_until(lambda: 'href="/login/oidc' in mesh.get(login)[1], "the console offers the provider", 60)
        yield mesh


@pytest.fixture
def page(shared: Mesh) -> Iterator[Page]:
    program = chromium()
    if program is None:
        pytest.skip("no Chromium on this machine")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        context = browser.new_context(ignore_https_errors=True, locale="en-US")
        context.set_default_timeout(30_000)
        yield context.new_page()
        browser.close()


def run_shown(mesh: Mesh, command: str) -> None:
    """Do what the page says, as an administrator would."""
    program, *arguments = command.split()
    assert program == "kubectl"
    mesh.kubectl(*arguments)


def test_people_come_in_by_their_accounts_and_get_rights_by_what_pages_say(shared: Mesh, page: Page) -> None:
    console = shared.environment["KAIKI_CONSOLE_URL"]
    page.goto(console + NEW_OBJECT)
    page.get_by_role("link", name=f"Log in with {HOST}").click()
    refusal = page.get_by_role("alert")
    expect(refusal).to_contain_text("jane@example.org may log in, but not open the console")
    run_shown(shared, refusal.locator("code").inner_text())
    page.get_by_role("link", name=f"Log in with {HOST}").click()
    page.wait_for_url(f"**{NEW_OBJECT}")
    note = page.locator("#rights-note")
    expect(note).to_contain_text("jane@example.org may not create virtualservices in namespace default")
    create = page.get_by_role("button", name="Create", exact=True)
    expect(create).to_be_disabled()
    for command in note.locator("code").all_inner_texts():
        run_shown(shared, command)
    wait_until(lambda: _is_allowed(page, console), "the new right is known")
    page.reload()
    create.click()
    page.wait_for_url("**/config/object?*")
    authors = lambda: {item["author"] for item in shared.console("/api/changes")["items"]}  # noqa: E731
    wait_until(lambda: "jane@example.org" in authors(), "the journal names who made the change")
    page.get_by_role("button", name="Log out (jane@example.org)").click()
    page.wait_for_url("**/login")


def _is_allowed(page: Page, console: str) -> bool:
    place = {"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "namespace": "default", "name": ""}
    answer = page.request.post(f"{console}/api/rights", data={"objects": [place]})
    return bool(answer.json()["items"][0]["create"])


def test_the_control_plane_tells_this_console_what_proxies_have(shared: Mesh) -> None:
    """By a token that the console's service account asks for itself, in its pod."""
    (gateway,) = shared.pods("istio-system", "app=istio-ingressgateway")
    told = shared.console(f"/api/proxies/istio-system/{gateway['metadata']['name']}/config?part=listeners")
    assert told["replica"].startswith("istiod")
