/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Being asked to end, by SIGINT, SIGTERM or SIGHUP, at any time: while the
 * password is asked for, while the store does not answer, while mounted.
 */
#ifndef FIRN_FS_STOP_H
#define FIRN_FS_STOP_H

struct store_stop;

/* Not 0 once asked. */
extern volatile int stop_asked;
/* For store_conf: its store is cancelled then. */
extern struct store_stop stop_store;

/* Catch the signals.  -errno, logged. */
int stop_catch(void);
/* A descriptor that can be read once asked; for poll(2). */
int stop_fd(void);

#endif
