// What a push that was taken on is answered with, as JSON: few fields, all of them known, so that
// they are written straight.
#ifndef HW_PUSH_ANSWER_H
#define HW_PUSH_ANSWER_H

#include <stdbool.h>

#include "buf.h"

struct push_answer {
    const char *id; // letters and digits
    const char *class;
    bool is_live; // it ends with its sending, and has no seq
    uint64_t expires_ms;
    bool has_seq, has_online, is_replayed;
    uint64_t seq, online;
    size_t targets; // 0: not shown
    int status;     // in a batch; 0: not shown
};
struct dry_answer { // to a dry run
    const char *class;
    size_t targets; // 0: not known
    bool has_online;
    uint64_t online;
    int status; // as above
};
void dry_answer_put(struct buf *out, const struct dry_answer *a);
void push_answer_put(struct buf *out, const struct push_answer *a);

#endif
