#include "job.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "texts.h"

// --- as it is stored

static void put_target(struct buf *out, const struct target *t) {
    Hawser__Internal__JobTarget target = HAWSER__INTERNAL__JOB_TARGET__INIT;
    Hawser__Internal__JobTarget *list[] = {&target};
    Hawser__Internal__JobTargets one = HAWSER__INTERNAL__JOB_TARGETS__INIT;
    target.user = (char *)(uintptr_t)t->user;
    target.n_device = t->device_count;
    target.device = (char **)(uintptr_t)t->devices;
    one.n_target = 1;
    one.target = list; // a list is packed as its items are, one behind the other
    size_t size = hawser__internal__job_targets__get_packed_size(&one);
    hawser__internal__job_targets__pack(&one, buf_reserve(out, size));
    out->len += size;
}

static size_t part_targets(size_t count) {
    size_t least = (count + JOB_PARTS_MAX - 1) / JOB_PARTS_MAX;
    return least > PART_TARGETS_MIN ? least : PART_TARGETS_MIN;
}

static void put_parts(struct job_put *put, const struct targets *to) {
    size_t a_part = part_targets(to->count), begins[JOB_PARTS_MAX + 1] = {0}, n = 0;
    for (size_t i = 0; i < to->count; i++) {
        if (i % a_part == 0)
            begins[n++] = put->packed.len;
        put_target(&put->packed, &to->list[i]);
    }
    begins[n] = put->packed.len;
    for (size_t i = 0; i < n; i++)
        put->parts[i] = (ProtobufCBinaryData){begins[i + 1] - begins[i],
                                              (uint8_t *)put->packed.data + begins[i]};
    put->request.n_part = n;
    put->request.part = put->parts;
}

void job_put_make(struct job_put *ret, const struct push *push, const struct aim *aim) {
    hawser__internal__job_put_request__init(&ret->request);
    ret->packed = (struct buf){0};
    aim_message(push, aim, NULL, &ret->aimed);
    ret->limits = aim->limits;
    ret->request.product = aim->product;
    ret->request.message = &ret->aimed.message;
    ret->request.limits = &ret->limits;
    ret->request.targets = push->to.count;
    ret->request.expires_ms = aim->expires_ms;
    ret->request.not_after_ms = aim->not_after_ms;
    put_parts(ret, &push->to);
}

void job_put_deinit(struct job_put *put) {
    buf_free(&put->packed);
}

// --- as it is shown

static const struct {
    const char *name;
    Hawser__Internal__JobState state;
} states[] = {{"queued", HAWSER__INTERNAL__JOB_STATE__JOB_QUEUED},
              {"running", HAWSER__INTERNAL__JOB_STATE__JOB_RUNNING},
              {"done", HAWSER__INTERNAL__JOB_STATE__JOB_DONE}};
enum { STATES = sizeof(states) / sizeof(states[0]) };

bool job_state_of(const char *name, Hawser__Internal__JobState *ret_state) {
    for (size_t i = 0; i < STATES; i++)
        if (strcmp(states[i].name, name) == 0) {
            *ret_state = states[i].state;
            return true;
        }
    return false;
}

static const char *state_name(const Hawser__Internal__Job *job) {
    for (size_t i = 0; i < STATES; i++)
        if (states[i].state == job->state)
            return states[i].name;
    return "running"; // a newer saver's state
}

json_t *job_json(const Hawser__Internal__Job *job) {
    double progress = job->targets > 0 ? (double)job->done / (double)job->targets : 1;
    return json_pack("{s:o, s:s, s:s, s:o, s:o, s:s, s:{s:I, s:I}, s:f}", "id", text_json(job->id),
                     "class", push_class_name(class_of_stored(job->class_)), "state",
                     state_name(job), "accepted_at", time_json(job->accepted_ms), "expires_at",
                     time_json(job->expires_ms), "unit", "users", "counts", "targets",
                     (json_int_t)job->targets, "rejected", (json_int_t)job->rejected, "progress",
                     progress > 1 ? 1 : progress);
}

void job_cursor(const Hawser__Internal__Job *job, char out[JOB_CURSOR_CHARS]) {
    snprintf(out, JOB_CURSOR_CHARS, "%" PRIu64 "-%.26s", job->accepted_ms, job->id);
}

bool job_cursor_read(const char *text, uint64_t *ret_accepted_ms, const char **ret_id) {
    char *end = NULL;
    if (*text < '1' || *text > '9')
        return false;
    *ret_accepted_ms = strtoull(text, &end, 10);
    *ret_id = end + 1;
    return *end == '-' && *ret_accepted_ms < UINT64_C(1) << 48;
}
