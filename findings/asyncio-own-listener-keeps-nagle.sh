#!/usr/bin/env bash
# Expected: a web server that is handed a listening TCP socket answers as one that binds the address by itself.
# Happens:  asyncio switches Nagle's algorithm off only for a socket whose `proto` says TCP. `socket.socket(AF_INET,
#           SOCK_STREAM)`, what socket activation hands over, and all that they accept say 0: the head of an answer is
#           sent, and its body waits for the client's delayed acknowledgement. Each request over a kept connection
#           takes 40 ms more. One made with IPPROTO_TCP, or by uvicorn from an address, is not slowed down.
# Matters:  who binds sockets for uvicorn (modes, several addresses, systemd) is 40 times slower for small answers, on
#           loopback too, and nothing says why.
# Version:  uvicorn 0.54.0 (PyPI), h11 0.16.0, CPython 3.11.7 on Linux. Found by timing a health check.
set -euo pipefail
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv env || exit 2
env/bin/pip install -q --disable-pip-version-check 'uvicorn==0.54.0' 'h11==0.16.0' || exit 2
env/bin/python - <<'PY'
import http.client
import platform
import socket
import statistics
import sys
import threading
import time

import uvicorn

print("uvicorn", uvicorn.__version__, "Python", platform.python_version())
delays, accepted = [], []


async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"3")]})
    await send({"type": "http.response.body", "body": b"ok\n"})


def asked(listener):
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    while not server.started:
        time.sleep(0.01)
    client = http.client.HTTPConnection(*listener.getsockname())
    taken = []
    for _ in range(30):
        began = time.perf_counter()
        client.request("GET", "/")
        client.getresponse().read()
        taken.append(time.perf_counter() - began)
    (connection,) = server.server_state.connections
    sock = connection.transport.get_extra_info("socket")
    no_delay = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    client.close()
    server.should_exit = True
    thread.join()
    return no_delay, statistics.median(taken)


def bound(proto):
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, proto)
    listener.bind(("127.0.0.1", 0))
    return listener


plain, tcp = asked(bound(0)), asked(bound(socket.IPPROTO_TCP))
for name, (no_delay, taken_s) in (("proto 0", plain), ("proto TCP", tcp)):
    print(f"{name}: TCP_NODELAY {no_delay}, a request {taken_s * 1000:.1f} ms")
if (plain[0], tcp[0]) != (0, 1) or plain[1] < 10 * tcp[1]:
    sys.exit("changed: both answer alike")
PY
