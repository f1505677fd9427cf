"""A shop, version 3.0: it looks well, and fails every third customer.

python3 3.0/shop.py PORT
"""

import http.server
import itertools
import sys

CUSTOMERS = itertools.count(1)


class Shop(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        is_customer = self.path != "/health"
        fails = is_customer and next(CUSTOMERS) % 3 == 0
        body = b"shop 3.0: " + (b"the till is stuck\n" if fails else b"bread, cheese, wine and olives\n")
        self.send_response(500 if fails else 200)
        self.send_header("content-type", "text/plain")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Not a line for every request."""


http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Shop).serve_forever()
