// A request of each method of a saver that its store takes.
#ifndef HW_EVERY_SAVER_REQUEST_H
#define HW_EVERY_SAVER_REQUEST_H

#include "../every_request.h"
#include "crypto.h"
#include "methods.h"
#include "saver_store.h"

SAVER_METHODS(REQUEST_DECLARATION)
static const ProtobufCMessage *const requests[] = {SAVER_METHODS(REQUEST_ROW)};
enum { REQUESTS = sizeof(requests) / sizeof(requests[0]) };

static inline void requests_make(void) {
    static Hawser__Internal__StoredMessage message = HAWSER__INTERNAL__STORED_MESSAGE__INIT;
    static Hawser__Internal__StreamPosition upto = HAWSER__INTERNAL__STREAM_POSITION__INIT;
    static Hawser__Internal__StreamPosition *uptos[] = {&upto};
    static Hawser__Internal__InboxLimits limits = HAWSER__INTERNAL__INBOX_LIMITS__INIT;
    static ProtobufCBinaryData part;
    static char id[] = "0123456789abcdef";
    SAVER_METHODS(REQUEST_INIT)
    message.id = id;
    append_request.message = &message;
    recall_request.id = id;
    inboxes_request.bucket = bucket_of_user(append_request.user, strlen(append_request.user));
    sums_request.id = (ProtobufCBinaryData){16, (uint8_t *)id};
    job_put_request.message = &message;
    job_put_request.limits = &limits;
    job_put_request.part = &part;
    job_put_request.n_part = 1;
    job_advance_request.job = id;
    upto.stream = STREAM_NEWS;
    ack_request.upto = uptos;
    ack_request.n_upto = 1;
}

#endif
