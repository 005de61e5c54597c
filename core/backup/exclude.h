/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exclude patterns, as users of restic, borg and rsync know them.
 *
 * A pattern without '/' matches the last component anywhere.  One that begins
 * with '/' matches the full path from the root of the source machine.  One
 * with a '/' elsewhere matches any run of trailing components.  '*' and '?'
 * and [..] stop at '/'; "**" does not.  A trailing '/' matches directories
 * only.  '!' in front takes back what an earlier pattern excluded; the last
 * match decides.  Matching a directory leaves out all below it.  Bytes, no
 * locale.  '\\' takes the next byte as it is; "**" as a whole component stands
 * for any number of components, none too; [!..] and [^..] are all but the set,
 * and [[:digit:]] and its like are of ASCII.
 */
#ifndef FIRN_BACKUP_EXCLUDE_H
#define FIRN_BACKUP_EXCLUDE_H

struct exclude;

int exclude_new(struct exclude **out);
void exclude_free(struct exclude *x);
/* -EINVAL, logged, for an empty or malformed pattern. */
int exclude_add(struct exclude *x, const char *pattern);
/* A pattern a line, '#' comments, blank lines; "-" is stdin.  A CR before the
 * newline is no part of the pattern.  Logged. */
int exclude_add_file(struct exclude *x, const char *path);
/*
 * path is absolute.  1 excluded, 0 not.  Of this one name: the caller does not
 * descend into an excluded directory, and a path that was asked for by name is
 * not excluded because of where it lies.  Thread-safe.
 */
int exclude_match(const struct exclude *x, const char *path, int is_dir);

#endif
