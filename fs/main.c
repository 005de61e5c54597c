/* SPDX-License-Identifier: Apache-2.0 */
/*
 * firnfs: command line, daemon, exit status.
 *
 * Without -f the work is done by a child, which keeps the terminal (for the
 * password, and to complain) until the mount answers; then it lets go of it
 * and tells the parent, which has waited and exits with what it is told.  A
 * parent that is asked to end meanwhile asks the child.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/err.h"
#include "base/file.h"
#include "base/log.h"
#include "base/process.h"
#include "fs/lowlevel.h"
#include "fs/mount.h"
#include "fs/options.h"
#include "fs/stop.h"

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#ifndef PACKAGE_VERSION
#define PACKAGE_VERSION "0"
#endif

enum { EXIT_USAGE = 2, EXIT_NO_REPO = 10, EXIT_WRONG_KEY = 12,
    EXIT_INTERRUPTED = 130 };

static int
exit_status(int err)
{
	if (err != 0 && stop_asked)
		return EXIT_INTERRUPTED;
	switch (-err) {
	case 0:
		return EXIT_SUCCESS;
	case FIRN_ENOREPO:
		return EXIT_NO_REPO;
	case FIRN_EWRONGKEY:
	case FIRN_ENOKEY:
		return EXIT_WRONG_KEY;
	default:
		return EXIT_FAILURE;
	}
}

static int
stay(void *ctx)
{
	(void)ctx;
	return 0;
}

/* ctx is the descriptor that the parent waits at. */
static int
detach(void *ctx)
{
	const int *report = ctx;
	unsigned char status = EXIT_SUCCESS;
	int null;

	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0)
		return log_err(-errno, "cannot open '/dev/null'");
	setsid();
	log_to_syslog();
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	dup2(null, STDERR_FILENO);
	close(null);
	if (write(*report, &status, 1) != 1)
		return log_err(-EPIPE, "nobody waits for the mount any more");
	return 0;
}

static int
run_child(const struct options *o, int report)
{
	int status;
	unsigned char byte;

	status = exit_status(mount_run(o, detach, &report));
	byte = (unsigned char)status;
	if (write(report, &byte, 1) != 1)
		return status;	/* the parent has long gone */
	return status;
}

static int
run_parent(pid_t child, int report)
{
	unsigned char status;
	ssize_t n;
	int ret;

	while ((ret = file_wait(report, &stop_asked)) == 0)
		continue;
	if (ret == -ECANCELED)
		kill(child, SIGTERM);
	while ((n = read(report, &status, 1)) < 0 && errno == EINTR)
		continue;
	if (n == 1)
		return status;
	log_err(0, "the daemon died before the mount was ready");
	return EXIT_FAILURE;
}

static int
run_daemon(const struct options *o)
{
	int fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) != 0) {
		log_err(-errno, "cannot make a pipe");
		return EXIT_FAILURE;
	}
	pid = fork();
	if (pid < 0) {
		log_err(-errno, "cannot fork");
		return EXIT_FAILURE;
	}
	if (pid == 0) {
		close(fds[0]);
		return run_child(o, fds[1]);
	}
	close(fds[1]);
	return run_parent(pid, fds[0]);
}

/* Descriptors 0 to 2 must be there, or sockets would become stderr. */
static void
descriptors_fill(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd > STDERR_FILENO)
		close(fd);
}

static int
run(const struct options *o)
{
	if (stop_catch() != 0)
		return EXIT_FAILURE;
	if (o->foreground || o->debug)
		return exit_status(mount_run(o, stay, NULL));
	return run_daemon(o);
}

/* What help and version printed has to have arrived. */
static int
flush(int closed)
{
	if (closed)
		return log_err(-EBADF, "cannot write to standard output");
	if (fflush(stdout) == 0 && !ferror(stdout))
		return 0;
	return log_err(errno != 0 ? -errno : -EIO,
	    "cannot write to standard output");
}

int
main(int argc, char **argv)
{
	struct options o;
	int closed = fcntl(STDOUT_FILENO, F_GETFD) < 0, err, status;

	descriptors_fill();
	signal(SIGPIPE, SIG_IGN);
	process_init();
	log_init("firnfs", LOG_LEVEL_INFO);
	err = options_parse(&o, argc, argv);
	if (err != 0) {
		options_release(&o);
		return EXIT_USAGE;
	}
	if (o.debug)
		log_init("firnfs", LOG_LEVEL_DEBUG);
	if (o.help) {
		options_usage();
		status = flush(closed) != 0;
	} else if (o.version) {
		printf("firnfs %s, libfuse %s\n", PACKAGE_VERSION,
		    fuse_pkgversion());
		status = flush(closed) != 0;
	} else if (options_mountpoint(&o) != 0) {
		status = EXIT_FAILURE;
	} else {
		status = o.fake ? EXIT_SUCCESS : run(&o);
	}
	options_release(&o);
	return status;
}
