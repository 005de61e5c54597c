# SPDX-License-Identifier: Apache-2.0
"""One connection: reads requests, has them answered, sends the answers.

Invariant: after an answer either the request's body has been read to its end
and the connection goes on, or the connection is closed; the next request is
never looked for inside a body.
"""

import itertools
import secrets
import socket
import struct
import traceback
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler

from . import control, faults, policy, sigv4
from .checksums import read_document
from .clock import http_date
from .errors import S3Error
from .message import Body, Hangup, Request, Response
from .router import WITH_BODY, route
from .stats import Record

RESET = struct.pack("ii", 1, 0)
request_numbers = itertools.count(1)
NO_BODY = (204, 304)
NOT_RECORDED = {"x-amz-date", "x-amz-content-sha256", "x-amz-security-token"}


def check_refusals(request):
    """What whole buckets and whole servers refuse."""
    owner = request.header("x-amz-expected-bucket-owner")
    if owner not in (None, request.sim.owner):
        raise S3Error("AccessDenied")
    if request.header("x-amz-request-payer", "requester") != "requester":
        raise S3Error("InvalidArgument", ArgumentName="x-amz-request-payer")
    if request.quirk("refuse-checksum"):
        for name, _ in request.headers:
            if name.startswith("x-amz-checksum-"):
                raise S3Error("InvalidArgument", f"Unsupported header '{name}' "
                              "received for this API call.")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    rbufsize = 1 << 16

    def setup(self):
        super().setup()
        self.sim = self.server.sim
        self.sim.stats.connected()

    def log_message(self, *args):
        pass

    def handle_expect_100(self):
        return True	# Body sends the 100 when it is read

    def handle_one_request(self):
        try:
            super().handle_one_request()
        except ConnectionError:
            self.close_connection = True

    def do_any(self):
        request = self.receive()
        if request.raw_path.startswith(control.PATH):
            request.locate(self.sim.domain)
            self.send(request, control.answer(self.sim, request))
            return
        record = Record(request.method)
        try:
            response = self.answer(request)
            self.sim.pace.wait_latency()
            self.finish_body(request)
            if request.method == "GET" and response.status in (200, 206):
                request.sent = response.length or 0
            self.count(request, record, response.status)
            self.send(request, response, record)
        except (Hangup, ConnectionError) as end:
            if not record.counted:
                self.count(request, record, 0)
            self.hang_up(reset=isinstance(end, Hangup) and end.reset)
        finally:
            self.sim.stats.write_log(record)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do_any
    do_PATCH = do_OPTIONS = do_any

    # Receiving.

    def receive(self):
        headers = [(name.lower(), value.strip()) for name, value
                   in self.headers.items()]
        target = self.requestline.split()[1]	# self.path is normalised
        on_start = None
        if self.headers.get("Expect", "").lower() == "100-continue":
            on_start = self.send_continue
        length = self.headers.get("Content-Length", "0")
        length = int(length) if length.isdecimal() else 0
        body = Body(self.rfile, length, on_start, self.sim.pace.received)
        request = Request(self.command, target, headers, body, self.sim)
        request.id = "%016X" % next(request_numbers)
        return request

    def send_continue(self):
        self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def check_framing(self, request):
        if request.header("transfer-encoding"):
            self.close_connection = True
            raise S3Error("NotImplemented", Header="Transfer-Encoding")
        if request.method == "PUT" and request.header("content-length") is None:
            raise S3Error("MissingContentLength")

    # Answering.

    def answer(self, request):
        try:
            return self.perform(request)
        except S3Error as error:
            return self.refuse(request, error)
        except (Hangup, ConnectionError):
            raise
        except Exception:
            traceback.print_exc()
            return self.refuse(request, S3Error("InternalError", "simulator bug"))

    def perform(self, request):
        sim = self.sim
        request.locate(sim.domain)
        self.check_framing(request)
        request.operation, function = route(request)
        rule = request.fault = sim.faults.pick(request)
        if rule:
            instead = faults.before(rule, request)
            if instead:
                return instead
        user = sigv4.verify(request, sim.identity, sim.clock.wall(), sim.users)
        policy.authorise(request, user)
        check_refusals(request)
        if request.operation not in WITH_BODY:
            read_document(request)
        response = function(request)
        return faults.after(rule, response) if rule else response

    def refuse(self, request, error):
        request.code = error.code
        return Response.of(error.status, error.xml(request.raw_path, request.id),
                           headers=error.headers)

    # Sending.

    def send(self, request, response, record=None):
        self.wfile.write(self.head(request, response))
        if request.method == "HEAD" or response.status in NO_BODY:
            return
        pieces = response.pieces
        rule = request.fault
        if rule and rule.strikes_answer():
            pieces = faults.spoil(rule, pieces, response.length, self.sim.stopping)
        for piece in pieces:
            for part in self.sim.pace.cut(piece):
                self.wfile.write(part)
                if record:
                    self.sim.stats.sent(record, len(part))

    def finish_body(self, request):
        """Leave nothing of the request unread, or announce a close."""
        if request.body.left and request.body.on_start:
            self.close_connection = True	# it was never asked for
        elif request.body.left:
            request.body.drain()

    def head(self, request, response):
        length = response.length
        headers = [("Server", "s3sim"), ("Date", http_date(self.sim.clock.wall())),
                   *response.headers]
        if not request.fault or request.fault.kind not in faults.NOT_OF_S3:
            headers += [("x-amz-request-id", request.id),
                        ("x-amz-id-2", secrets.token_hex(8))]
        if response.status not in NO_BODY:
            if request.method == "HEAD" and response.status >= 300:
                length = 0
            if length is None:
                self.close_connection = True
            else:
                headers.append(("Content-Length", length))
        if self.close_connection:
            headers.append(("Connection", "close"))
        phrase = HTTPStatus(response.status).phrase
        lines = [f"HTTP/1.1 {response.status} {phrase}"]
        lines += [f"{name}: {value}" for name, value in headers]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    def hang_up(self, reset):
        self.close_connection = True
        if reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)

    def count(self, request, record, status):
        record.operation, record.status = request.operation, status
        record.bucket, record.key = request.bucket_name, request.key
        record.bytes_in = request.length - request.body.left
        record.code, record.range = request.code, request.header("range")
        record.fault = request.fault.kind if request.fault else None
        record.amz = {n: v for n, v in request.headers if n.startswith("x-amz-")
                      and n not in NOT_RECORDED}
        self.sim.stats.add(record)
        self.sim.meter.request(request.operation, status, request.storage_class,
                               request.sent)
