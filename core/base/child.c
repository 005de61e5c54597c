/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command is not waited for (and its number not given back to the system)
 * before the last signal to its group was sent, so no other group can get one.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/child.h"
#include "base/err.h"
#include "base/file.h"
#include "base/log.h"

#define GRACE_MS	2000
#define NAP_MS		20

static void
close_fds(int fd[2])
{
	int i;

	for (i = 0; i < 2; i++)
		if (fd[i] >= 0)
			close(fd[i]);
}

/* In the child, where threads may have left locks behind: only system calls.
 * The errno of what fails goes to `report`, which closes when it runs. */
static void
become(char *const *argv, int in, int out, int report)
{
	sigset_t none;
	ssize_t n;
	int err;

	setpgid(0, 0);
	/* What we catch becomes the default by itself, and what was ignored
	 * for us (SIGHUP, by nohup(1)) stays so.  What the calling thread
	 * blocks would stay blocked. */
	signal(SIGPIPE, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if ((in < 0 || dup2(in, STDIN_FILENO) >= 0) &&
	    dup2(out, STDOUT_FILENO) >= 0)
		execvp(argv[0], argv);
	err = errno;
	n = write(report, &err, sizeof(err));
	_exit(n < 0 ? 126 : 127);
}

static int
fail(int err, const char *what, const char *role)
{
	return log_err(err, "cannot run '%s'%s%s", what, role != NULL ? ", " :
	    "", role != NULL ? role : "");
}

/* Fork; fd[1] becomes its output, report[1] hears what fails: -errno. */
static int
spawn(struct child *c, char *const *argv, int in, int fd[2], int report[2])
{
	size_t got;
	int err = 0;

	c->pid = fork();
	if (c->pid == 0)
		become(argv, in, fd[1], report[1]);
	if (c->pid < 0) {
		c->pid = 0;
		return -errno;
	}
	setpgid(c->pid, c->pid);	/* whoever comes first */
	close(report[1]);
	report[1] = -1;
	if (file_read_full(report[0], &err, sizeof(err), &got) == 0 &&
	    got == sizeof(err)) {
		while (waitpid(c->pid, NULL, 0) < 0 && errno == EINTR)
			continue;
		c->pid = 0;
		return -err;
	}
	return 0;
}

int
child_start(struct child *c, char *const *argv, int in, const char *role)
{
	int fd[2] = { -1, -1 }, report[2] = { -1, -1 }, err;

	if (pipe2(fd, O_CLOEXEC) != 0 || pipe2(report, O_CLOEXEC) != 0)
		err = -errno;
	else
		err = spawn(c, argv, in, fd, report);
	if (err != 0)
		fail(err, argv[0], role);
	if (err == 0) {
		c->out = fd[0];
		fd[0] = -1;
	}
	close_fds(fd);
	close_fds(report);
	return err;
}

/* Make `to` the terminal's foreground group if `from` is it: 1 when it is. */
static int
terminal_pass(pid_t from, pid_t to)
{
	sigset_t ttou, old;
	int tty, done;

	tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	if (tty < 0)
		return 0;
	/* The kernel would stop us when we take it back. */
	sigemptyset(&ttou);
	sigaddset(&ttou, SIGTTOU);
	pthread_sigmask(SIG_BLOCK, &ttou, &old);
	done = tcgetpgrp(tty) == from && tcsetpgrp(tty, to) == 0;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	close(tty);
	return done;
}

static void
terminal_back(struct child *c)
{
	if (c->lent)
		terminal_pass(c->pid, getpgrp());
	c->lent = 0;
}

/* It was stopped while it had the terminal, by its key for that maybe: which was
 * meant for us as well. */
static void
stop_too(struct child *c, int sig)
{
	terminal_back(c);
	if (sig != SIGTSTP)
		return;
	kill(getpid(), SIGTSTP);
	kill(-c->pid, SIGCONT);
}

void
child_look(struct child *c, int silent)
{
	siginfo_t si = { .si_pid = 0 };

	if (c->pid == 0)
		return;
	if (!silent) {
		terminal_back(c);
		return;
	}
	/* It is left to be seen again: in the background there is nothing to
	 * lend yet. */
	if (waitid(P_PID, (id_t)c->pid, &si, WSTOPPED | WNOHANG |
	    WNOWAIT) != 0 || si.si_pid == 0)
		return;
	if (si.si_status != SIGTTIN && si.si_status != SIGTTOU) {
		if (c->lent)
			stop_too(c, si.si_status);
	} else if (c->lent || terminal_pass(getpgrp(), c->pid)) {
		c->lent = 1;
		kill(-c->pid, SIGCONT);
	}
}

/* It stays there to be waited for. */
int
child_ended(const struct child *c)
{
	siginfo_t si = { .si_pid = 0 };

	return waitid(P_PID, (id_t)c->pid, &si, WEXITED | WNOHANG |
	    WNOWAIT) != 0 || si.si_pid != 0;
}

static void
nap(void)
{
	struct timespec ts = { .tv_nsec = NAP_MS * 1000000L };

	nanosleep(&ts, NULL);
}

int
child_wait(struct child *c, const volatile int *stop, unsigned ms,
    char why[CHILD_WHY])
{
	unsigned waited = 0;
	int status, lent;

	if (c->pid == 0)
		return 0;
	while (!child_ended(c)) {
		if (stop != NULL && __atomic_load_n(stop, __ATOMIC_RELAXED))
			return -ECANCELED;
		if (ms > 0 && waited >= ms)
			return -ETIMEDOUT;
		child_look(c, 1);
		nap();
		waited += NAP_MS;
	}
	lent = c->lent;
	terminal_back(c);
	while (waitpid(c->pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	c->pid = 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGINT && lent)
		return -ECANCELED;
	if (WIFEXITED(status))
		snprintf(why, CHILD_WHY, "ended with status %d",
		    WEXITSTATUS(status));
	else
		snprintf(why, CHILD_WHY, "was killed by signal %d",
		    WTERMSIG(status));
	return -EIO;
}

/* Nothing of it is left that could write: the command has ended, and nobody
 * else has the other end of its output. */
static int
is_gone(const struct child *c)
{
	struct pollfd p = { .fd = c->out };

	return child_ended(c) && poll(&p, 1, 0) == 1 &&
	    (p.revents & POLLHUP) != 0;
}

void
child_end(struct child *c)
{
	unsigned ms;

	if (c->pid != 0) {
		terminal_back(c);
		kill(-c->pid, SIGTERM);
		kill(-c->pid, SIGCONT);
		for (ms = 0; ms < GRACE_MS && !is_gone(c); ms += NAP_MS)
			nap();
		kill(-c->pid, SIGKILL);
		while (waitpid(c->pid, NULL, 0) < 0 && errno == EINTR)
			continue;
		c->pid = 0;
	}
	if (c->out >= 0)
		close(c->out);
	c->out = -1;
}
