# SPDX-License-Identifier: Apache-2.0
"""A proxy for HTTP, small: passes requests on, and tunnels by CONNECT.  Standard
library only.

    with HttpProxy(password="user:secret") as proxy:
        ... proxy.url, proxy.requests, proxy.tunnels

Invariant: what it has refused has gone nowhere.
"""

import base64
import http.client
import select
import socket
import socketserver
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

HOP_BY_HOP = {"connection", "proxy-connection", "proxy-authorization", "keep-alive"}
PAGE = b"<html><body>The proxy says no.</body></html>"


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def server_bind(self):
        socketserver.TCPServer.server_bind(self)	# asks no resolver for a name

    def get_request(self):
        connection, address = super().get_request()
        if self.proxy.tls:	# shakes hands when it is first read from
            connection = self.proxy.tls.wrap_socket(
                connection, server_side=True, do_handshake_on_connect=False)
        return connection, address

    def handle_error(self, request, client_address):
        """A client that went away, or did not trust us."""


class HttpProxy:
    def __init__(self, password=None, certificate=None):
        self.password = password	# "USER:PASSWORD" that is wanted
        self.refuse = None		# a status: every request is answered with it
        self.tls = None			# with `certificate`: PEM of it and its key
        if certificate:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(certificate)
        self.lock = threading.Lock()	# guards the lists
        self.requests = []		# (method, URL) that were passed on
        self.tunnels = []		# (host:port, headers) of each CONNECT
        self.refused = []		# what was not
        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.proxy = self

    @property
    def address(self):
        return "%s:%d" % self.server.server_address[:2]

    @property
    def url(self):
        return f"http{'s' if self.tls else ''}://{self.address}"

    def url_of(self, login):
        """With a name and password."""
        return self.url.replace("://", f"://{login}@")

    def note(self, where, what):
        with self.lock:
            where.append(what)

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, args=(0.02,),
                         daemon=True).start()
        return self

    def __exit__(self, *exc):
        self.server.shutdown()
        self.server.server_close()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def setup(self):
        super().setup()
        self.proxy = self.server.proxy

    def is_refused(self):
        proxy, status = self.proxy, self.proxy.refuse
        login = self.headers.get("Proxy-Authorization", "")
        if proxy.password and login != "Basic " + base64.b64encode(
                proxy.password.encode()).decode():
            status = 407
        if not status:
            return False
        proxy.note(proxy.refused, (self.command, self.path))
        self.close_connection = True
        self.send_response(status)
        if status == 407:
            self.send_header("Proxy-Authenticate", 'Basic realm="proxy"')
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(PAGE)))
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(PAGE)
        return True

    def do_any(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if self.is_refused():
            return
        self.proxy.note(self.proxy.requests, (self.command, self.path))
        url = urlsplit(self.path)
        there = http.client.HTTPConnection(url.hostname, url.port)
        there.putrequest(self.command, self.path[self.path.index(url.netloc) +
                                                 len(url.netloc):],
                         skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in HOP_BY_HOP:
                there.putheader(name, value)
        there.endheaders(body)
        self.pass_back(there.getresponse())
        there.close()

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do_any

    def pass_back(self, answer):
        body = answer.read()
        self.send_response_only(answer.status)
        length = str(len(body))
        for name, value in answer.getheaders():
            if name.lower() == "content-length" and self.command == "HEAD":
                length = value
            elif name.lower() not in HOP_BY_HOP | {"content-length"}:
                self.send_header(name, value)
        if answer.status != 204:
            self.send_header("Content-Length", length)
        self.end_headers()
        self.wfile.write(body)

    def do_CONNECT(self):
        if self.is_refused():
            return
        self.proxy.note(self.proxy.tunnels, (self.path, dict(self.headers.items())))
        self.close_connection = True
        host, port = self.path.rsplit(":", 1)
        with socket.create_connection((host, int(port))) as there:
            self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            self.tunnel(there)

    def tunnel(self, there):
        """Both ways, until one side ends."""
        here = self.connection
        other = {here: there, there: here}
        while True:
            # What TLS has decrypted already shows in no socket.
            ready = [here] if self.proxy.tls and here.pending() else \
                select.select([here, there], [], [])[0]
            for side in ready:
                data = side.recv(1 << 16)
                if not data:
                    return
                other[side].sendall(data)
