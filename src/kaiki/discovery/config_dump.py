"""What one connected proxy has been told, resource by resource, for /debug/config_dump: never a key.

    {proxy, proxy_type, proxy_version, generation, synced, certificate, rejected,
     resources: [{type, name, version, state, touched, body}]}

`body` is the serialized resource in base64: whoever asks takes it apart, so that this costs the control plane nothing.
`state` is `acknowledged` when the proxy certainly has this version of it, `refused`, or `waiting`.
"""

from __future__ import annotations

import base64
from typing import Any

from kaiki.discovery.session import Session
from kaiki.model.proxy import SECRET_TYPE, Resource

Object = dict[str, Any]


def describe_configuration(session: Session) -> Object:
    """Everything of one proxy."""
    refused = {(one.type_url, one.name) for one in session.stream.rejections()}
    resources = []
    for type_url, table in session.targets.items():
        for name, item in table.items():
            if (type_url, name) in refused:
                state = "refused"
            else:
                held = session.stream.held_version(type_url, name)
                state = "acknowledged" if held == item.version else "waiting"
            touched = session.configs.touched(session.proxy, item)
            resources.append(
                {
                    "type": type_url,
                    "name": name,
                    "version": item.version,
                    "state": state,
                    "touched": [[one.kind, one.namespace, one.name] for one in touched],
                    "body": base64.b64encode(_shown(session, item)).decode("ascii"),
                }
            )
    return session.describe() | {"resources": resources}


def _shown(session: Session, item: Resource) -> bytes:
    """A resource as it may be seen: of a Secret the certificates only."""
    return item.body if item.type_url != SECRET_TYPE else without_keys(item, session.issued_chain)


def without_keys(item: Resource, issued_chain: bytes = b"") -> bytes:
    """A Secret that holds its certificates and roots and nothing else.

    The key of a workload's certificate is dropped once it has been acknowledged, and the body with it: its chain is
    given apart, empty where another control plane issued it.
    """
    from envoy.extensions.transport_sockets.tls.v3 import secret_pb2

    whole, shown = secret_pb2.Secret.FromString(item.body), secret_pb2.Secret(name=item.name)
    chain = whole.tls_certificate.certificate_chain.inline_bytes or (b"" if item.body else issued_chain)
    if chain:
        shown.tls_certificate.certificate_chain.inline_bytes = chain
    if whole.validation_context.trusted_ca.inline_bytes:
        shown.validation_context.trusted_ca.CopyFrom(whole.validation_context.trusted_ca)
    return bytes(shown.SerializeToString(deterministic=True))
