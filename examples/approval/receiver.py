"""Stands for the system that quarantines hosts: says what it was asked, answers 200, or what its argument says."""

import http.server
import sys

STATUS = int(sys.argv[1]) if len(sys.argv) > 1 else 200


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        print(self.path, body.decode(), flush=True)
        self.send_response(STATUS)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


http.server.HTTPServer(("127.0.0.1", 9000), Receiver).serve_forever()
