# SPDX-License-Identifier: Apache-2.0
"""The simulator: its state, its options, and the threads that serve it.

    with S3Sim(buckets=["b"]) as sim:
        ... sim.url, sim.bucket("b").keys(), sim.stats.requests,
        sim.faults.add("500", verb="PUT", nth=2)

Invariant: when stop() returns the port is closed and so are all connections.
"""

import socket
import ssl
import threading
from http.server import ThreadingHTTPServer

from . import archive, lifecycle
from .blob import FileStore, RamStore
from .clock import Clock
from .faults import Faults
from .gate import GateStore
from .handler import RESET, Handler
from .meter import Meter
from .pace import Pace, Rate
from .policy import Users, parse
from .sigv4 import Identity
from .state import State
from .stats import Stats

QUIRKS = {
    "ignore-conditional": "If-Match and If-None-Match of writes have no effect",
    "ignore-conditional-versioned": "the same, in buckets with versions (Ceph)",
    "refuse-conditional": "If-Match and If-None-Match of writes give 501",
    "no-checksum": "x-amz-checksum-* is neither verified nor returned",
    "want-checksum": "a put without x-amz-checksum-* or Content-MD5 gives 400, as AWS "
                     "in buckets with a default of Object Lock",
    "refuse-checksum": "a request with any x-amz-checksum-* gives 400, as Backblaze B2",
    "any-class": "unknown storage classes are taken, and can be read at once",
    "ignore-restore-status": "listings never hold RestoreStatus",
    "restore-200": "a restore that is begun is answered with 200 instead of 202",
    "no-rules": "?lifecycle is not known, so that the bucket is listed",
    "rules-echoed": "a put of lifecycle rules is answered with a body",
    "no-expedited": "every Expedited restore is refused for want of capacity"}


class Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def __init__(self, address, sim):
        self.sim = sim
        self.lock = threading.Lock()	# guards open
        self.open = set()
        self.gone = False
        super().__init__(address, Handler)

    def get_request(self):
        connection, address = super().get_request()
        if self.sim.tls:	# shakes hands when it is first read from
            connection = self.sim.tls.wrap_socket(
                connection, server_side=True, do_handshake_on_connect=False)
        return connection, address

    def process_request(self, request, client_address):
        with self.lock:
            self.open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request):
        # No shutdown() here: after a fault the close must be a reset.
        with self.lock:
            self.open.discard(request)
        self.close_request(request)

    def handle_error(self, request, client_address):
        if not (self.sim.stopping.is_set() or self.sim.tls or self.gone):
            super().handle_error(request, client_address)

    def hang_up_all(self, reset=False):
        with self.lock:
            for connection in self.open:
                try:
                    if reset:
                        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                              RESET)
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass


class S3Sim:
    def __init__(self, buckets=(), *, versioned=False, host="127.0.0.1", port=0,
                 access_key="AKIDTEST", secret_key="SECRETTEST",
                 session_token=None, region="us-east-1", domain="localhost",
                 allow_unsigned=False, trust_bodies=False, data_dir=None,
                 log=None, quirks=(), latency=0.0, bandwidth=0, seed=None,
                 certificate=None, owner="123456789012", gate=None):
        self.quirks = set()
        self.set_quirks(quirks)
        self.identity = Identity(access_key, secret_key, region, session_token,
                                 allow_unsigned)
        self.users = Users(access_key, secret_key)
        self.bucket_statements = []	# of the policy of all buckets
        self.trust_bodies = trust_bodies	# for benchmarks: compute no digest
        self.domain = domain
        self.owner = owner		# the account of all buckets
        self.tls = None			# with `certificate`: PEM of it and its key
        if certificate:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(certificate)
        self.stopping = threading.Event()
        self.clock = Clock()
        self.store = self.make_store(data_dir, gate)
        self.meter = Meter(self.clock)
        self.state = State(self.clock, self.meter.watch)
        self.restores = Rate()
        self.faults = Faults(seed)
        self.pace = Pace(self.stopping, latency, bandwidth)
        self.stats = Stats(log)
        for name in buckets:
            self.state.create(name, "Enabled" if versioned else "")
        self.server = Server((host, port), self)
        self.host, self.port = self.server.server_address[:2]
        self.thread = None

    @staticmethod
    def make_store(data_dir, gate):
        """Where the bytes of objects are; `gate`: in a bucket of another server,
        (url, access key, secret key, bucket, classes that it knows)."""
        if gate:
            return GateStore(*gate)
        return FileStore(data_dir) if data_dir else RamStore()

    @property
    def url(self):
        return f"http{'s' if self.tls else ''}://{self.host}:{self.port}"

    def set_quirks(self, add=(), remove=()):
        unknown = {*add, *remove} - QUIRKS.keys()
        if unknown:
            raise ValueError(f"no such quirk: {', '.join(sorted(unknown))}")
        self.quirks = (self.quirks | set(add)) - set(remove)

    def set_bucket_policy(self, document):
        """Only its denials count; None takes it away."""
        self.bucket_statements = parse(document) if document else []

    @property
    def requests(self):
        """Records of the requests so far, oldest first."""
        with self.stats.lock:
            return list(self.stats.requests)

    def bucket(self, name):
        return self.state.bucket(name)

    # What time and Amazon do to archived objects.

    def make_ready(self, bucket, keys=None, prefix=""):
        """Restores of these keys that are in progress are done now, in this order;
        how many were."""
        return self.each(archive.make_ready, bucket, keys, prefix)

    def begin_thaw(self, bucket, keys, days=2, tier="Standard"):
        """Somebody asks for restores of these keys, who is not counted; how many."""
        def begin(version, now):
            return archive.begin_restore(version, days, tier, now) == 202
        return self.each(begin, bucket, keys, "")

    def expire(self, bucket, keys=None, prefix=""):
        """Restored copies are gone now; how many there were."""
        return self.each(archive.expire, bucket, keys, prefix)

    def ends(self, bucket, when, keys=None, prefix=""):
        """Restored copies last until then, by the virtual clock; how many."""
        return self.each(lambda version, now: archive.ends(version, now, when),
                         bucket, keys, prefix)

    def archive(self, bucket, keys=None, prefix="", tier="ARCHIVE_ACCESS"):
        """Objects of INTELLIGENT_TIERING go into its archive; how many."""
        def put_away(version, _now):
            archive.archive(version, tier)
            return True
        return self.each(put_away, bucket, keys, prefix)

    def each(self, function, bucket, keys, prefix):
        bucket = self.bucket(bucket)
        with bucket.lock:
            return sum(function(version, self.clock.now())
                       for version in bucket.matching(keys, prefix))

    def run_lifecycle(self, bucket):
        return lifecycle.run(self, self.bucket(bucket))

    def start(self):
        print(f"s3sim: {self.url} seed {self.faults.seed}", flush=True)
        self.serve()
        return self

    def serve(self):
        self.thread = threading.Thread(
            target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def go_away(self):
        """As if the process were killed: the port is closed and every connection
        reset.  State stays, for come_back()."""
        self.server.gone = True
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
        self.server.hang_up_all(reset=True)

    def come_back(self):
        """Serve again, at the same port."""
        self.server = Server((self.host, self.port), self)
        self.serve()

    def stop(self):
        self.stopping.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
        self.server.hang_up_all()
        self.stats.close()

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc):
        self.stop()
