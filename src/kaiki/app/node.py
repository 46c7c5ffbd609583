"""The launcher's composition: credentials, the API's loopback socket, image maps and the loopback ports users see."""

from __future__ import annotations

import socket
import sys

from kaiki.apiserver.credentials import ensure_credentials, node_token, write_kubeconfig
from kaiki.app.envoy_trial import envoy_program
from kaiki.app.home import Home, samples_path
from kaiki.app.machine import take_lock
from kaiki.runtime.launcher import Forward, NodeSettings, run_node

API_PORT = 6443
INSIDE_API_ADDRESS = ("10.97.0.1", 6443)
FORWARDS = (
    Forward("gateway", "istio-system", "istio-ingressgateway", 80, 8080),
    Forward("console", "istio-system", "kiali", 20001, 20001),
    Forward("metrics", "istio-system", "prometheus", 9090, 9090),
    Forward("tracing", "istio-system", "tracing", 80, 16686),
)


async def run_launcher(home: Home) -> int:
    """Run the machine of this home until it is told to stop; the exit code."""
    home.prepare()
    lock = take_lock(home)
    try:
        ensure_credentials(home.path)
        listener = open_api_socket()
        url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        write_kubeconfig(home.path, url)
        home.api_url.write_text(url + "\n")
        return await run_node(node_settings(home, listener))
    finally:
        home.api_url.unlink(missing_ok=True)
        lock.close()


def open_api_socket() -> socket.socket:
    """The API's listening socket on the loopback: the usual port, or a free one where that is taken."""
    for port in (API_PORT, 0):
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            listener.close()
            continue
        listener.listen(1024)
        return listener
    raise OSError("no free port on 127.0.0.1")


def node_settings(home: Home, listener: socket.socket) -> NodeSettings:
    """What the runtime is told; the API server's command line goes with it, to run inside."""
    kubeconfig = write_kubeconfig(
        home.path, "https://10.97.0.1:6443", home.run / "node.kubeconfig", node_token(home.path)
    )
    samples = samples_path()
    python = sys.executable
    return NodeSettings(
        home=home.path,
        python=python,
        kubeconfig=kubeconfig,
        apiserver_arguments=(python, "-m", "kaiki", "apiserver", "--listen-fd", str(listener.fileno())),
        api_descriptors=(listener.fileno(),),
        image_maps=(home.user_images, samples / "images.yaml"),
        image_places={"python": python, "envoy": str(envoy_program()), "samples": str(samples)},
        forwards=FORWARDS,
        name_server="kaiki.names.server:start",
        supervisor_arguments=(python, "-m", "kaiki", "supervisor"),
    )
