/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libcurl, loaded when it is first needed.
 *
 * Linked in the usual way it brings 30 more libraries (Kerberos, LDAP, SSH, IDN)
 * into each run of each command: 35 of the 40 ms that `firn --version` took, and
 * none of it used where the store is a directory.  So s3_curl.c defines those of
 * its functions that we call, as <curl/curl.h> declares them, and each hands its
 * arguments on to the library's own.
 */
#ifndef FIRN_STORE_S3_CURL_H
#define FIRN_STORE_S3_CURL_H

/*
 * Load it and find the functions.  Must have succeeded before any function of
 * libcurl is called; may be called any number of times, by any thread.  Returns
 * 0, or -ELIBACC after an error was logged.  It is never unloaded.
 */
int s3_curl_load(void);

#endif
