# SPDX-License-Identifier: Apache-2.0
"""The S3 errors: each code with its status and its usual message.

Invariant: an operation fails by raising S3Error and by nothing else; any
other exception is a bug of the simulator and is answered InternalError.
"""

from .xmlio import document

NOT_IMPLEMENTED = ("A header or query you provided implies functionality "
                   "that is not implemented")

CODES = {
    "AccessDenied": (403, "Access Denied"),
    "AuthorizationHeaderMalformed": (400, "The authorization header is malformed"),
    "BadDigest": (400, "The Content-MD5 or checksum value that you specified "
                       "did not match what the server received."),
    "BucketAlreadyOwnedByYou": (409, "Your previous request to create the named "
                                     "bucket succeeded and you already own it."),
    "BucketNotEmpty": (409, "The bucket you tried to delete is not empty"),
    "ConditionalRequestConflict": (409, "The conditional request cannot succeed "
                                        "due to a conflicting operation against "
                                        "this resource."),
    "EntityTooLarge": (400, "Your proposed upload exceeds the maximum allowed size"),
    "EntityTooSmall": (400, "Your proposed upload is smaller than the minimum "
                            "allowed size"),
    "ExpiredToken": (400, "The provided token has expired."),
    "GlacierExpeditedRetrievalNotAvailable": (
        503, "Glacier expedited retrievals are currently not available, "
             "please try again later"),
    "IllegalLocationConstraintException": (
        400, "The location constraint is incompatible for the region specific "
             "endpoint this request was sent to."),
    "InternalError": (500, "We encountered an internal error. Please try again."),
    "InvalidAccessKeyId": (403, "The AWS Access Key Id you provided does not "
                                "exist in our records."),
    "InvalidArgument": (400, "Invalid Argument"),
    "InvalidBucketName": (400, "The specified bucket is not valid."),
    "InvalidDigest": (400, "The Content-MD5 you specified was invalid."),
    "InvalidLocationConstraint": (400, "The specified location-constraint is not "
                                       "valid"),
    "InvalidObjectState": (403, "The operation is not valid for the object's "
                                "storage class"),
    "InvalidPart": (400, "One or more of the specified parts could not be found.  "
                         "The part may not have been uploaded, or the specified "
                         "entity tag may not match the part's entity tag."),
    "InvalidPartOrder": (400, "The list of parts was not in ascending order. "
                              "Parts must be ordered by part number."),
    "InvalidRange": (416, "The requested range is not satisfiable"),
    "InvalidRequest": (400, "Invalid Request"),
    "InvalidStorageClass": (400, "The storage class you specified is not valid"),
    "InvalidToken": (400, "The provided token is malformed or otherwise invalid."),
    "InvalidURI": (400, "Couldn't parse the specified URI."),
    "KeyTooLongError": (400, "Your key is too long"),
    "MalformedXML": (400, "The XML you provided was not well-formed or did not "
                          "validate against our published schema"),
    "MetadataTooLarge": (400, "Your metadata headers exceed the maximum allowed "
                              "metadata size"),
    "MethodNotAllowed": (405, "The specified method is not allowed against this "
                              "resource."),
    "MissingContentLength": (411, "You must provide the Content-Length HTTP header."),
    "NoSuchBucket": (404, "The specified bucket does not exist"),
    "NoSuchKey": (404, "The specified key does not exist."),
    "NoSuchUpload": (404, "The specified upload does not exist. The upload ID may "
                          "be invalid, or the upload may have been aborted or "
                          "completed."),
    "NoSuchVersion": (404, "The specified version does not exist."),
    "NoSuchLifecycleConfiguration": (404, "The lifecycle configuration does not "
                                          "exist"),
    "NotImplemented": (501, NOT_IMPLEMENTED),
    "ObjectLockConfigurationNotFoundError": (
        404, "Object Lock configuration does not exist for this bucket"),
    "ObjectAlreadyInActiveTierError": (403, "Restore is not allowed, as object's "
                                            "storage class is not archived"),
    "ObjectNotInActiveTierError": (403, "The source object of the COPY action is "
                                        "not in the active tier"),
    "PermanentRedirect": (301, "The bucket you are attempting to access must be "
                               "addressed using the specified endpoint. Please "
                               "send all future requests to this endpoint."),
    "PreconditionFailed": (412, "At least one of the pre-conditions you specified "
                                "did not hold"),
    "QuotaExceeded": (403, "The quota of this account is used up."),
    "RequestTimeTooSkewed": (403, "The difference between the request time and "
                                  "the current time is too large."),
    "RestoreAlreadyInProgress": (409, "Object restore is already in progress"),
    "SignatureDoesNotMatch": (403, "The request signature we calculated does not "
                                   "match the signature you provided. Check your "
                                   "key and signing method."),
    "SlowDown": (503, "Please reduce your request rate."),
    "ThrottlingException": (400, "Rate exceeded"),
    "XAmzContentSHA256Mismatch": (400, "The provided 'x-amz-content-sha256' "
                                       "header does not match what was computed."),
}


class S3Error(Exception):
    """An error answer; `fields` become further elements of its XML."""

    def __init__(self, code, message=None, headers=(), status=None, **fields):
        super().__init__(code)
        usual_status, usual_message = CODES[code]
        self.code = code
        self.status = status or usual_status
        self.message = message or usual_message
        self.headers = list(headers)
        self.fields = fields

    def xml(self, resource, request_id):
        rows = [("Code", self.code), ("Message", self.message)]
        rows += self.fields.items()
        rows += [("Resource", resource), ("RequestId", request_id),
                 ("HostId", "s3sim")]
        return document("Error", rows, namespace=False)
