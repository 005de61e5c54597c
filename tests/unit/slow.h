/* SPDX-License-Identifier: Apache-2.0 */
/* Of so many rounds, those that a build takes in which each of them costs many
 * times as much. */
#ifndef FIRN_TEST_SLOW_H
#define FIRN_TEST_SLOW_H

#ifdef __SANITIZE_ADDRESS__
#define ROUNDS(n)	((n) / 4)
#define STEP		4	/* between those that are looked at */
#else
#define ROUNDS(n)	(n)
#define STEP		1
#endif

#endif
