/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the storage class of an object, and the words that S3 adds to it, say
 * of whether its bytes can be read.  Pure, and total over any text.
 *
 * docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html, x-amz-restore
 * and x-amz-archive-status; API_RestoreStatus.html.  What S3 calls a restore
 * is our thaw.
 */
#ifndef FIRN_STORE_S3_CLASS_H
#define FIRN_STORE_S3_CLASS_H

#include "store/store.h"

/* How S3 names a class; anything without blanks and control bytes, since AWS
 * adds classes and others have their own. */
int s3_class_ok(const char *name);

enum s3_restore { S3_RESTORE_NONE, S3_RESTORE_RUNS, S3_RESTORE_DONE };

/*
 * The value of x-amz-restore, "" for none:
 *	ongoing-request="true"
 *	ongoing-request="false", expiry-date="Fri, 21 Dec 2012 00:00:00 GMT"
 * DONE has a date that makes sense in *expires, or is NONE.
 */
enum s3_restore s3_class_restore(const char *value, time_t *expires);

/* Class and state from the headers of a HEAD; "" for those that were not
 * there. */
void s3_class_of_head(const char *class_name, const char *restore,
    const char *archive, struct store_stat *out);
/* From a listing; `known` says that the server lists restores. */
void s3_class_of_list(const char *class_name, enum s3_restore restore,
    time_t expires, int known, struct store_stat *out);

#endif
