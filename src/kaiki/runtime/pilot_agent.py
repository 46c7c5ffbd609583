"""What guides type into a proxy's container: `pilot-agent request GET stats`. There is no agent; Envoy itself answers.

kubectl exec POD -c istio-proxy -- pilot-agent request GET stats
kubectl exec POD -c istio-proxy -- pilot-agent request POST 'logging?level=debug'
"""

from __future__ import annotations

import http.client
import sys

_ADMINISTRATION_PORT = 15000
_USAGE = "pilot-agent: here it knows only `request METHOD PATH`, which asks this proxy's administration interface"


def main(arguments: list[str]) -> int:
    """The exit code; the answer's body goes to standard output."""
    words = [word for word in arguments if not word.startswith("-")]
    if len(words) < 3 or words[0] != "request":
        print(_USAGE, file=sys.stderr)
        return 2
    method, path, *body = words[1:]
    connection = http.client.HTTPConnection("127.0.0.1", _ADMINISTRATION_PORT, timeout=30)
    try:
        connection.request(method.upper(), "/" + path.lstrip("/"), body=" ".join(body) or None)
        answer = connection.getresponse()
        sys.stdout.write(answer.read().decode(errors="replace"))
    except (OSError, http.client.HTTPException) as error:
        print(f"pilot-agent: the proxy does not answer: {error}", file=sys.stderr)
        return 1
    finally:
        connection.close()
    if answer.status != 200:
        print(f"pilot-agent: received unsuccessful status code {answer.status}", file=sys.stderr)
    return 0 if answer.status == 200 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
