// A push on its way, shared by send.c, which appends it, and deliver.c, which takes it to rooms.
#ifndef HW_CENTER_SEND_INTERNAL_H
#define HW_CENTER_SEND_INTERNAL_H

#include "center_internal.h"

struct sending { // one push
    struct center *center;
    uint32_t product;
    struct push push; // owned
    Hawser__Internal__InboxLimits limits;
    uint64_t id_kept_ms, not_after_ms, give_up_ms;
    uint64_t claim;      // this call's own number, by which it knows its claim again; 0: needs none
    bool claim_replayed; // an earlier call has claimed the key
    struct sent result;
    size_t leg_count, started, ended, stored, refused, replays;
    sent_fn *done;
    void *arg;
};

struct leg {                 // its claim, one inbox of it, or the broadcast log
    struct leg *next, *prev; // in center.legs
    struct sending *sending;
    const struct target *target; // NULL: the broadcast log, or the claim
    struct timer retry;
    int tries;
    bool may_be_done, is_claim;
    bool was_up; // the link to the saver, at the last try
};

// What is stored, or handed over. m and audience borrow from s and t.
void message_fill(const struct sending *s, const struct target *t,
                  Hawser__Internal__StoredMessage *m, Hawser__Internal__Audience *audience);
void leg_ended(struct leg *leg);

// Hints for what was appended. appended NULL: a live message; the leg ends when it is over.
void deliver_inbox(struct leg *leg, const Hawser__Internal__AppendReply *appended);
void deliver_news(struct leg *leg, const Hawser__Internal__AppendReply *appended);

#endif
