"""A thousand logins with client credentials, held against a bare loop that sends the same requests.

The loop has as many threads, each with an `httpx.Client` of its own, as ecapipe has places; the org is a server that
does next to nothing, in a process of its own, on one port and on two hundred. Journal and reports are included.
Then every answer takes 200 milliseconds, and the time counts that passes.

Repeat it with: .venv/bin/python tests/bench/many_logins.py
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, SimpleQueue

from measure import ECAPIPE, PYTHON, tell

TARGETS = 1_000
REQUESTS = 2
LATENCY = 0.2
ROUNDS = 6


class Server(asyncio.Protocol):
    """Orgs as small as can be, which answer everybody after `latency` seconds."""

    latency = 0.0
    started = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport, self.buffer = transport, b""
        self.port = transport.get_extra_info("sockname")[1]

    def data_received(self, data: bytes) -> None:
        if not Server.started:
            Server.started = True
            sys.stdout.write(f"{time.monotonic()}\n")
            sys.stdout.flush()
        self.buffer += data
        head, found, body = self.buffer.partition(b"\r\n\r\n")
        length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
        if found and len(body) >= int(length or 0):
            self.buffer = b""
            answer = _answer(self.port, *head.split(b" ", 2)[:2])
            asyncio.get_running_loop().call_later(self.latency, self.transport.write, answer)


def _answer(port: int, method: bytes, path: bytes) -> bytes:
    """Each org, told by the number in its path, has ids of its own."""
    number = int(path.split(b"/", 2)[1][1:])
    org, user = f"00D{number:012}EAA", "005000000000001AAA"
    if method == b"POST":
        identity = f"http://localhost:{port}/id/{org}/{user}"
        members = {"access_token": f"{org[:15]}!FAKE", "id": identity, "token_type": "Bearer", "scope": "id"}
    else:
        members = {"user_id": user, "organization_id": org, "preferred_username": "robot@acme.example"}
    body = json.dumps(members).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


async def serve(ports: int, latency: float) -> None:
    """Listen on free ports, print them, and stay."""
    Server.latency = latency
    loop = asyncio.get_running_loop()
    servers = [await loop.create_server(Server, "127.0.0.1", 0, backlog=256) for _ in range(ports)]
    sys.stdout.write(json.dumps([server.sockets[0].getsockname()[1] for server in servers]) + "\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


def loop(urls: Sequence[str], threads: int) -> None:
    """The bare loop: one client a thread, and nothing but the two requests of each login."""
    import httpx
    import truststore

    context = truststore.SSLContext(__import__("ssl").PROTOCOL_TLS_CLIENT)
    left: SimpleQueue[str] = SimpleQueue()
    for url in urls:
        left.put(url)

    def work() -> None:
        form = {"client_id": "k" * 85, "client_secret": "s" * 64, "grant_type": "client_credentials"}
        limits = httpx.Limits(max_keepalive_connections=2)
        with httpx.Client(verify=context, trust_env=False, limits=limits) as client:
            while True:
                try:
                    url = left.get_nowait()
                except Empty:
                    return
                token = client.post(f"{url}/services/oauth2/token", data=form).json()["access_token"]
                bearer = {"Authorization": f"Bearer {token}"}
                client.get(f"{url}/services/oauth2/userinfo", headers=bearer).json()

    running = [threading.Thread(target=work) for _ in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()


@contextmanager
def org(ports: int, latency: float = 0.0) -> Iterator[tuple[list[str], Callable[[], float]]]:
    """The addresses of `TARGETS` orgs, spread over the ports of one server, and when the first request came."""
    words = [PYTHON, __file__, "serve", str(ports), str(latency)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as running:
        answers = running.stdout
        assert answers is not None
        found = json.loads(answers.readline())
        urls = [f"http://127.0.0.1:{found[number % ports]}/o{number}" for number in range(TARGETS)]
        yield urls, lambda: float(answers.readline())
        running.terminate()


def spend(words: Sequence[str], at: Path, urls: Sequence[str]) -> tuple[float, float, int]:
    """Seconds that passed, seconds of CPU, and the most memory in KiB of a program, which is given `urls`."""
    environ = {**os.environ, "ECAPIPE_STATE_DIR": str(at / "state"), "URLS": " ".join(urls)}
    environ.pop("PYTHONDONTWRITEBYTECODE", None)  # nobody compiles the program each time
    start = time.perf_counter()
    with open(os.devnull, "wb") as nothing:
        running = subprocess.Popen(words, cwd=at, env=environ, stdout=nothing)
    _, code, used = os.wait4(running.pid, 0)
    seconds = time.perf_counter() - start
    running.returncode = os.waitstatus_to_exitcode(code)
    if running.returncode:
        raise SystemExit(f"{words[0]} ended with {running.returncode}")
    return seconds, used.ru_utime + used.ru_stime, used.ru_maxrss


def run(urls: Sequence[str], concurrency: int) -> list[str]:
    """The command that logs in to every org, and writes a report."""
    orgs = [word for number, url in enumerate(urls) for word in ("--target-org", f"o{number}={url}")]
    options = ("--flow", "client-credentials", "--json", "--report", "junit=report.xml")
    return [ECAPIPE, "run", *options, "--concurrency", str(concurrency), *orgs]


def main() -> None:
    from forest import robot

    with tempfile.TemporaryDirectory() as folder:
        root = robot(Path(folder, "project"))
        for ports in (1, 200):
            for threads in (8, 32):
                ours, bare = [], []
                for _ in range(ROUNDS):
                    with org(ports) as (urls, _):
                        bare.append(spend([PYTHON, __file__, "loop", str(threads)], root, urls))
                        ours.append(spend(run(urls, threads), root, urls))
                wall = min(cost[0] for cost in ours) / min(cost[0] for cost in bare)
                cpu = min(cost[1] for cost in ours) / min(cost[1] for cost in bare)
                detail = f"{min(c[0] for c in ours):.2f} s, loop {min(c[0] for c in bare):.2f} s"
                tell(f"{ports} ports, {threads} at once: time", wall, 1.3, detail=detail)
                detail = f"{min(c[1] for c in ours):.2f} s, loop {min(c[1] for c in bare):.2f} s"
                tell(f"{ports} ports, {threads} at once: CPU", cpu, 1.3, detail=detail)
        for threads in (8, 32):
            with org(200, LATENCY) as (urls, _):
                least = min(spend(run(urls, threads), root, urls)[0] for _ in range(2))
            floor = TARGETS * REQUESTS * LATENCY / threads
            tell(
                f"200 ms an answer, {threads} at once", least / floor, 1.15, detail=f"{least:.2f} s of {floor:.2f} s"
            )
        firsts = []
        for _ in range(ROUNDS):
            with org(200) as (urls, first):
                start = time.monotonic()
                spend(run(urls, 8), root, urls)
                firsts.append(first() - start)
        tell("first request after the start", min(firsts), 0.5, "s")
        with org(200) as (urls, _):
            many, few = (min(spend(run(urls[:n], 8), root, urls)[2] for _ in range(2)) for n in (TARGETS, 100))
        tell("memory of a target", (many - few) / (TARGETS - 100), 20, "KiB")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["serve", ports, latency]:
            asyncio.run(serve(int(ports), float(latency)))
        case ["loop", threads]:
            loop(os.environ["URLS"].split(), int(threads))
        case _:
            main()
