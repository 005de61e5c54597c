/* SPDX-License-Identifier: Apache-2.0 */
/* Of so many rounds, those that a build takes in which each of them costs many
 * times as much. */
#ifndef FIRN_TEST_SLOW_H
#define FIRN_TEST_SLOW_H

#ifdef __SANITIZE_ADDRESS__
#define ROUNDS(n)	((n) / 4)
#else
#define ROUNDS(n)	(n)
#endif

#endif
