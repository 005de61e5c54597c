/* SPDX-License-Identifier: Apache-2.0 */
/*
 * line: a TCP relay on loopback that behaves like a line to a far store, and
 * counts what passes.
 *
 *   line PORT TARGET_PORT RTT_US BYTES_PER_SECOND COUNTERS
 *
 * What is read from one side is due at the other when a line of that rate has
 * carried it (one line for each direction, shared by all connections) and half
 * the round-trip time has passed; a new connection costs one more round trip,
 * as its handshake would.  Zero stands for no delay and no limit.  While more
 * than QUANTUM is under way on the line of a direction nothing more is taken
 * from anyone there, so connections share it evenly and senders wait, as they
 * would.  There is no loss and no slow start: a real line is never better.
 *
 * COUNTERS is a file of 64-bit numbers (enum count) that is mapped and kept up
 * to date.  Requests are told apart by their Content-Length; a connection with
 * a chunked request is relayed and counted no further.
 *
 * Invariant: bytes leave in the order in which they came, none early.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PIECE = 64 << 10, QUANTUM_NS = 2000000, MAX_LINKS = 512,
       MAX_QUEUED = 64 };
enum { UP, DOWN };	/* towards the store, from the store */
enum count { CONNECTIONS, REQUESTS, GETS, PUTS, HEADS, DELETES, POSTS,
	     BYTES_UP, BYTES_DOWN, COUNTS };

struct piece {
	struct piece *next;
	int64_t due;
	size_t at, len;		/* len 0: the end of the stream */
	char bytes[PIECE];
};

struct flow {
	int from, to;
	struct piece *head, **tail;
	int queued;
	bool ended;		/* nothing more comes from `from` */
	bool done;		/* and `to` knows */
};

/* Tells requests apart in the bytes of a connection. */
struct parser {
	char line[256];
	size_t len;
	uint64_t body;		/* bytes of it to come */
	uint64_t length;	/* as the header said */
	bool first, opaque;
};

struct link {
	struct flow flow[2];
	struct parser parser;
	int64_t opened;
};

static struct link *links[MAX_LINKS];
static int link_count;
static int64_t line_free[2];
static int64_t rtt_ns;
static double ns_per_byte;
static volatile uint64_t *counts;
static struct piece *spare;	/* pieces to use again */

static int64_t
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static void
die(const char *what)
{
	fprintf(stderr, "line: %s: %s\n", what, strerror(errno));
	exit(1);
}

static struct piece *
piece_new(void)
{
	struct piece *p = spare;

	if (p)
		spare = p->next;
	else if (!(p = malloc(sizeof(*p))))
		die("malloc");
	p->at = p->len = 0;
	p->next = NULL;
	return p;
}

static void
piece_free(struct piece *p)
{
	p->next = spare;
	spare = p;
}

static void
parse_first_line(const char *line)
{
	static const struct { const char *verb; enum count count; } verbs[] = {
		{ "GET ", GETS }, { "PUT ", PUTS }, { "HEAD ", HEADS },
		{ "DELETE ", DELETES }, { "POST ", POSTS } };

	counts[REQUESTS]++;
	for (size_t i = 0; i < sizeof(verbs) / sizeof(*verbs); i++)
		if (strncmp(line, verbs[i].verb, strlen(verbs[i].verb)) == 0)
			counts[verbs[i].count]++;
}

static void
parse_line(struct parser *p)
{
	p->line[p->len] = '\0';
	if (p->len == 0) {		/* the end of the header */
		if (p->first)
			return;
		p->body = p->length;
		p->length = 0;
		p->first = true;
	} else if (p->first) {
		parse_first_line(p->line);
		p->first = false;
	} else if (strncasecmp(p->line, "content-length:", 15) == 0) {
		p->length = strtoull(p->line + 15, NULL, 10);
	} else if (strncasecmp(p->line, "transfer-encoding:", 18) == 0) {
		p->opaque = true;
	}
	p->len = 0;
}

static void
parse(struct parser *p, const char *bytes, size_t len)
{
	while (len > 0 && !p->opaque) {
		if (p->body > 0) {
			size_t n = len < p->body ? len : p->body;

			p->body -= n;
			bytes += n;
			len -= n;
			continue;
		}
		if (*bytes == '\n')
			parse_line(p);
		else if (*bytes != '\r' && p->len < sizeof(p->line) - 1)
			p->line[p->len++] = *bytes;
		bytes++;
		len--;
	}
}

static void
link_open(int listener, int port)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int one = 1, store;
	int client = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
	struct link *l;

	if (client < 0)
		return;
	store = socket(AF_INET, SOCK_STREAM, 0);
	if (store < 0 || connect(store, (void *)&to, sizeof(to)) < 0) {
		close(client);
		if (store >= 0)
			close(store);
		return;
	}
	fcntl(store, F_SETFL, O_NONBLOCK);
	setsockopt(store, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	l = calloc(1, sizeof(*l));
	if (!l)
		die("calloc");
	l->flow[UP] = (struct flow){ .from = client, .to = store };
	l->flow[DOWN] = (struct flow){ .from = store, .to = client };
	for (int d = UP; d <= DOWN; d++)
		l->flow[d].tail = &l->flow[d].head;
	l->parser.first = true;
	l->opened = now_ns();
	counts[CONNECTIONS]++;
	links[link_count++] = l;
}

static void
link_close(int i)
{
	struct link *l = links[i];

	for (int d = UP; d <= DOWN; d++) {
		struct piece *p;

		while ((p = l->flow[d].head)) {
			l->flow[d].head = p->next;
			piece_free(p);
		}
		close(l->flow[d].from);
	}
	free(l);
	links[i] = links[--link_count];
}

static bool
line_is_full(int d, int64_t now)
{
	return line_free[d] - now > QUANTUM_NS;
}

/* Take what is there to be read.  False: the connection is broken. */
static bool
flow_take(struct link *l, int d, int64_t now)
{
	struct flow *f = &l->flow[d];
	struct piece *p = piece_new();
	ssize_t n = read(f->from, p->bytes, PIECE);

	if (n < 0) {
		piece_free(p);
		return errno == EAGAIN || errno == EINTR;
	}
	p->len = n;
	f->ended = n == 0;
	if (d == UP)
		parse(&l->parser, p->bytes, n);
	counts[d == UP ? BYTES_UP : BYTES_DOWN] += n;
	if (line_free[d] < now)
		line_free[d] = now;
	line_free[d] += n * ns_per_byte;
	p->due = line_free[d] + rtt_ns / 2;
	if (p->due < l->opened + rtt_ns * 3 / 2)
		p->due = l->opened + rtt_ns * 3 / 2;
	*f->tail = p;
	f->tail = &p->next;
	f->queued++;
	return true;
}

/* Hand over what is due.  False: the connection is broken. */
static bool
flow_give(struct flow *f, int64_t now)
{
	struct piece *p;

	while ((p = f->head) && p->due <= now) {
		if (p->len == 0) {
			shutdown(f->to, SHUT_WR);
			f->done = true;
		}
		while (p->at < p->len) {
			ssize_t n = send(f->to, p->bytes + p->at,
			    p->len - p->at, MSG_NOSIGNAL);

			if (n < 0)
				return errno == EAGAIN || errno == EINTR;
			p->at += n;
		}
		f->head = p->next;
		if (!f->head)
			f->tail = &f->head;
		f->queued--;
		piece_free(p);
	}
	return true;
}

/* What to wait for on the two sockets of a link; lowers *wake. */
static void
link_watch(const struct link *l, struct pollfd *fds, int64_t now,
    int64_t *wake)
{
	fds[UP] = (struct pollfd){ .fd = l->flow[UP].from };
	fds[DOWN] = (struct pollfd){ .fd = l->flow[DOWN].from };
	for (int d = UP; d <= DOWN; d++) {
		const struct flow *f = &l->flow[d];

		if (!f->ended && f->queued < MAX_QUEUED) {
			if (!line_is_full(d, now))
				fds[d].events |= POLLIN;
			else if (line_free[d] - QUANTUM_NS < *wake)
				*wake = line_free[d] - QUANTUM_NS;
		}
		if (f->head && f->head->due <= now)
			fds[!d].events |= POLLOUT;
		else if (f->head && f->head->due < *wake)
			*wake = f->head->due;
		if (fds[d].events == 0 && f->ended)
			fds[d].fd = -1;		/* it would always hang up */
	}
}

static bool
link_work(struct link *l, const struct pollfd *fds)
{
	for (int d = UP; d <= DOWN; d++) {
		struct flow *f = &l->flow[d];
		int64_t now = now_ns();

		if (fds[d].revents && !f->ended && f->queued < MAX_QUEUED &&
		    !line_is_full(d, now) && !flow_take(l, d, now))
			return false;
		if (!flow_give(f, now_ns()))
			return false;
	}
	return !(l->flow[UP].done && l->flow[DOWN].done);
}

static void
serve(int listener, int port)
{
	static struct pollfd fds[1 + 2 * MAX_LINKS];
	static bool broken[MAX_LINKS];
	unsigned turn = 0;

	for (;;) {
		int64_t now = now_ns(), wake = INT64_MAX;
		int had = link_count;
		struct timespec t, *timeout = NULL;

		fds[0] = (struct pollfd){ .events = POLLIN,
			.fd = had < MAX_LINKS ? listener : -1 };
		for (int i = 0; i < had; i++)
			link_watch(links[i], &fds[1 + 2 * i], now, &wake);
		if (wake != INT64_MAX) {
			wake = wake > now ? wake - now : 0;
			t.tv_sec = wake / 1000000000;
			t.tv_nsec = wake % 1000000000;
			timeout = &t;
		}
		if (ppoll(fds, 1 + 2 * had, timeout, NULL) < 0 &&
		    errno != EINTR)
			die("ppoll");
		/* Each is first in turn, or some would have the line alone. */
		turn++;
		for (int k = 0; k < had; k++) {
			int i = (turn + k) % had;

			broken[i] = !link_work(links[i], &fds[1 + 2 * i]);
		}
		/* From the end: closing moves the last one here. */
		for (int i = had - 1; i >= 0; i--)
			if (broken[i])
				link_close(i);
		if (fds[0].revents)
			link_open(listener, port);
	}
}

static int
listen_on(int port)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0)
		die("socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (void *)&at, sizeof(at)) < 0 || listen(fd, 256) < 0)
		die("cannot listen");
	return fd;
}

int
main(int argc, char **argv)
{
	size_t size = COUNTS * sizeof(*counts);
	int fd;

	if (argc != 6) {
		fprintf(stderr, "usage: line PORT TARGET_PORT RTT_US "
		    "BYTES_PER_SECOND COUNTERS\n");
		return 2;
	}
	rtt_ns = atoll(argv[3]) * 1000;
	ns_per_byte = atof(argv[4]) > 0 ? 1e9 / atof(argv[4]) : 0;
	fd = open(argv[5], O_RDWR | O_CREAT, 0644);
	if (fd < 0 || ftruncate(fd, size) < 0)
		die(argv[5]);
	counts = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (counts == MAP_FAILED)
		die("mmap");
	signal(SIGPIPE, SIG_IGN);
	serve(listen_on(atoi(argv[1])), atoi(argv[2]));
}
