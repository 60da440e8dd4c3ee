// One push on its way: its key claimed where that is needed, then appended to each log, and only
// then found and delivered; a live one is delivered alone. The answer is ready when every log has
// it.
#ifndef HW_SEND_H
#define HW_SEND_H

#include "aim.h"
#include "center_internal.h"

struct sent {
    struct problem problem; // beside one the rest says nothing
    uint64_t seq, expires_ms, online;
    bool replayed, has_seq;
    bool is_dry, has_online; // of a dry run, which has targets and online alone
    size_t targets;          // 0: not known
    char id[MESSAGE_ID_CHARS + 1];
};
// Called exactly once, perhaps before send_push returns.
typedef void sent_fn(void *arg, const struct sent *result);
struct sender {
    sent_fn *done;
    void *arg;
};
void send_push(struct center *c, const struct product *product, struct push *push /* taken */,
               struct sender sender);
// At the end, after the calls were cancelled: what waits for another try is given up.
void sends_end(struct center *c);

#endif
