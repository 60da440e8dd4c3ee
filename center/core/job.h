// A push to many targets as a saver stores it: the message once, and its targets in parts, each of
// which one center takes at a time; and a job as the API shows it.
#ifndef HW_JOB_H
#define HW_JOB_H

#include <jansson.h>

#include "aim.h"
#include "shared_limits.h"

enum {
    PART_TARGETS_MIN = 100,         // but for the last part
    JOB_ID_KEPT_MORE_MS = 86400000, // than the message lives: until its part is done, at the latest
};

struct job_put {
    Hawser__Internal__JobPutRequest request;
    struct aimed aimed;
    Hawser__Internal__InboxLimits limits;
    ProtobufCBinaryData parts[JOB_PARTS_MAX]; // in `packed`
    struct buf packed;                        // owned
};
// Borrows from push and aim, and points into itself. The push is one that is a job.
void job_put_make(struct job_put *ret, const struct push *push, const struct aim *aim);
void job_put_deinit(struct job_put *put);

// As an item of a list shows it, and what is told of it alone: id, class, state, accepted_at,
// expires_at, unit, counts.targets, counts.rejected, progress.
json_t *job_json(const Hawser__Internal__Job *job);
// The state of that name; false: none has it.
bool job_state_of(const char *name, Hawser__Internal__JobState *ret_state);

enum { JOB_CURSOR_CHARS = 64 };
// Where the list goes on: behind that job.
void job_cursor(const Hawser__Internal__Job *job, char out[JOB_CURSOR_CHARS]);
// *ret_id points into the text. False: it is none.
bool job_cursor_read(const char *text, uint64_t *ret_accepted_ms, const char **ret_id);

#endif
