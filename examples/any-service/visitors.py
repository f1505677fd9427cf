"""Visitors of the shop, each with a cookie jar, as browsers have. It says who meets another version than before.

python3 visitors.py URL            # until it is told to end; then how many requests each version answered
python3 visitors.py URL --one      # one new visitor: prints the cookie it was given, and fails when nobody answers
"""

import http.client
import http.cookies
import signal
import sys
import threading
import urllib.parse
from collections import Counter

VISITORS = 100
EVERY_S = 0.5
COOKIE = "tranche-visitor"


class Visitor:
    """Comes again and again; `met` is the version that answered last."""

    def __init__(self, url: str) -> None:
        self.address = urllib.parse.urlsplit(url).netloc
        self.connection = http.client.HTTPConnection(self.address, timeout=10)
        self.cookie, self.met = "", ""

    def come(self) -> tuple[str, int]:
        """The version that answered ('nobody' where none did), and the status."""
        try:
            self.connection.request(
                "GET", "/", headers={"cookie": f"{COOKIE}={self.cookie}"} if self.cookie else {}
            )
            answer = self.connection.getresponse()
            words = answer.read().decode().replace(":", "").split()
        except (OSError, http.client.HTTPException):
            self.connection.close()
            return "nobody", 0
        given = http.cookies.SimpleCookie(answer.getheader("set-cookie", ""))
        if COOKIE in given:
            self.cookie = given[COOKIE].value
        return (words[1] if words[:1] == ["shop"] else "nobody"), answer.status


def visit(number: int, url: str, told: "Counter[tuple[str, int]]", done: threading.Event) -> None:
    visitor = Visitor(url)
    done.wait(EVERY_S * number / VISITORS)
    while not done.wait(EVERY_S):
        version, status = visitor.come()
        told[version, status] += 1
        if visitor.met and version != visitor.met:
            print(f"visitor {number}: {visitor.met} -> {version}", flush=True)
        visitor.met = version


def main(url: str, *options: str) -> None:
    if options == ("--one",):
        visitor = Visitor(url)
        version, _ = visitor.come()
        print(visitor.cookie)
        sys.exit(version == "nobody")
    told: Counter[tuple[str, int]] = Counter()
    done = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: done.set())
    visitors = [threading.Thread(target=visit, args=(number, url, told, done)) for number in range(VISITORS)]
    for each in visitors:
        each.start()
    for each in visitors:
        each.join()
    for (version, status), requests in sorted(told.items()):
        print(f"{requests} requests: version {version}, status {status}")


main(*sys.argv[1:])
