// What every store owes about jobs. Each case gets a fresh store.
#ifndef HW_CONTRACT_JOBS_H
#define HW_CONTRACT_JOBS_H

#include "contract_devices.h"

struct put {
    uint32_t product; // 0 = 1
    const char *id;
    unsigned parts; // each of two targets; 0 = 1
    uint64_t claim, not_after_ms;
    size_t bytes; // of its message
};

static inline ProtobufCBinaryData two_targets(unsigned part) {
    static uint8_t packed[64][64];
    Hawser__Internal__JobTarget target[2];
    Hawser__Internal__JobTarget *list[] = {&target[0], &target[1]};
    Hawser__Internal__JobTargets targets = HAWSER__INTERNAL__JOB_TARGETS__INIT;
    char name[2][16];
    for (unsigned i = 0; i < 2; i++) {
        hawser__internal__job_target__init(&target[i]);
        snprintf(name[i], sizeof(name[i]), "u%u", 2 * part + i);
        target[i].user = name[i];
    }
    targets.n_target = 2;
    targets.target = list;
    size_t len = hawser__internal__job_targets__pack(&targets, packed[part]);
    return (ProtobufCBinaryData){len, packed[part]};
}

static inline int bed_job(struct bed *b, const struct put *p) {
    Hawser__Internal__JobPutRequest q = HAWSER__INTERNAL__JOB_PUT_REQUEST__INIT;
    Hawser__Internal__StoredMessage m = HAWSER__INTERNAL__STORED_MESSAGE__INIT;
    Hawser__Internal__InboxLimits limits = HAWSER__INTERNAL__INBOX_LIMITS__INIT;
    ProtobufCBinaryData parts[64];
    q.product = p->product ? p->product : 1;
    q.message = &m;
    q.limits = &limits;
    q.n_part = p->parts ? p->parts : 1;
    q.part = parts;
    q.targets = 2 * q.n_part;
    q.expires_ms = 5000;
    q.claim = p->claim;
    q.not_after_ms = p->not_after_ms;
    m.id = (char *)(uintptr_t)p->id;
    m.payload = (ProtobufCBinaryData){p->bytes, hw_calloc(1, p->bytes + 1)};
    for (unsigned i = 0; i < q.n_part; i++)
        parts[i] = two_targets(i);
    const Hawser__Internal__JobPutReply *reply = bed_ask(b, &q.base);
    free(m.payload.data);
    return (int)reply->outcome;
}
#define JOB(b, ...) bed_job(b, &(const struct put){__VA_ARGS__})

// "j 0 #1 at 0 (0): u0 u1": job, part, number, cursor, rejected, targets. "" = none is free.
static inline const char *bed_take_for(struct bed *b, uint32_t lease_ms) {
    Hawser__Internal__JobTakeRequest q = HAWSER__INTERNAL__JOB_TAKE_REQUEST__INIT;
    q.lease_ms = lease_ms;
    const Hawser__Internal__JobTakeReply *r = bed_ask(b, &q.base);
    b->text[0] = '\0';
    if (r->product == 0)
        return b->text;
    ck_assert_uint_eq(r->until_ms, r->store_ms + job_lease_ms(lease_ms));
    ck_assert_uint_eq(r->job->n_part, 0);
    bed_printf(b, "%s %u #%" PRIu64 " at %" PRIu64 " (%" PRIu64 "):", r->job->message->id, r->part,
               r->number, r->cursor, r->rejected);
    for (size_t i = 0; i < r->targets->n_target; i++)
        bed_printf(b, " %s", r->targets->target[i]->user);
    return b->text;
}

static inline const char *bed_take(struct bed *b) {
    return bed_take_for(b, 0);
}

struct word { // of a part, how far it has come
    const char *id;
    uint32_t part;
    uint64_t number, cursor, rejected;
    bool ends;
    uint32_t lease_ms; // 0 = 5 s
};

static inline bool bed_advance(struct bed *b, const struct word *w) { // false: it is stale
    Hawser__Internal__JobAdvanceRequest q = HAWSER__INTERNAL__JOB_ADVANCE_REQUEST__INIT;
    q.product = 1;
    q.job = (char *)(uintptr_t)w->id;
    q.part = w->part;
    q.number = w->number;
    q.cursor = w->cursor;
    q.rejected = w->rejected;
    q.ends = w->ends;
    q.lease_ms = w->lease_ms;
    const Hawser__Internal__JobAdvanceReply *r = bed_ask(b, &q.base);
    ck_assert_uint_eq(r->until_ms, r->stale ? 0 : r->store_ms + job_lease_ms(w->lease_ms));
    return !r->stale;
}
#define ADVANCE(b, ...) bed_advance(b, &(const struct word){__VA_ARGS__})

// "j2 queued 0/4 (0), j running 1/2 (1)", and behind it " more".
static inline const char *bed_jobs(struct bed *b, const Hawser__Internal__JobsRequest *asked) {
    static const char *const names[] = {"any", "queued", "running", "done"};
    Hawser__Internal__JobsRequest q = *asked;
    q.product = 1;
    const Hawser__Internal__JobsReply *r = bed_ask(b, &q.base);
    b->text[0] = '\0';
    for (size_t i = 0; i < r->n_job; i++)
        bed_printf(b, "%s%s %s %" PRIu64 "/%" PRIu64 " (%" PRIu64 ")", i > 0 ? ", " : "",
                   r->job[i]->id, names[r->job[i]->state], r->job[i]->done, r->job[i]->targets,
                   r->job[i]->rejected);
    bed_printf(b, "%s", r->more ? " more" : "");
    return b->text;
}

static inline const char *bed_all_jobs(struct bed *b) {
    Hawser__Internal__JobsRequest q = HAWSER__INTERNAL__JOBS_REQUEST__INIT;
    return bed_jobs(b, &q);
}

// Stored whole, taken part by part, done when the last part is.
static inline void case_jobs(struct bed *b) {
    ck_assert_str_eq(bed_take(b), "");
    ck_assert_int_eq(JOB(b, .id = "j", .parts = 2), OUTCOME(STORED));
    ck_assert_str_eq(bed_all_jobs(b), "j queued 0/4 (0)");
    ck_assert_str_eq(bed_take(b), "j 0 #1 at 0 (0): u0 u1");
    ck_assert_str_eq(bed_take(b), "j 1 #2 at 0 (0): u2 u3");
    ck_assert_str_eq(bed_take(b), "");
    ck_assert(ADVANCE(b, .id = "j", .part = 1, .number = 2, .cursor = 1, .rejected = 1));
    ck_assert_str_eq(bed_all_jobs(b), "j running 1/4 (1)");
    ck_assert(
        ADVANCE(b, .id = "j", .part = 1, .number = 2, .cursor = 2, .rejected = 1, .ends = true));
    ck_assert_str_eq(bed_all_jobs(b), "j running 2/4 (1)");
    ck_assert(ADVANCE(b, .id = "j", .number = 1, .cursor = 2, .ends = true));
    ck_assert_str_eq(bed_all_jobs(b), "j done 4/4 (1)");
    ck_assert_str_eq(bed_take(b), "");
    ck_assert_uint_eq(bed_sums(b).rejected, 1);
}

// An older number than the last is refused, and changes nothing; so is what goes back, a part that
// is done, and a job that is not there. Who takes a part up begins where it has come to be.
static inline void case_job_leases(struct bed *b) {
    JOB(b, .id = "j");
    ck_assert_str_eq(bed_take(b), "j 0 #1 at 0 (0): u0 u1");
    ck_assert(ADVANCE(b, .id = "j", .number = 1, .cursor = 0));
    ck_assert_str_eq(bed_take(b), ""); // it is renewed
    ck_assert(ADVANCE(b, .id = "j", .number = 1, .cursor = 1, .rejected = 1, .lease_ms = 1));
    ck_assert(!ADVANCE(b, .id = "j", .number = 1, .cursor = 0, .rejected = 1));
    ck_assert(!ADVANCE(b, .id = "j", .number = 1, .cursor = 1, .rejected = 0));
    while (!*bed_take(b)) // until the lease has ended
        loop_step(b->loop, 1);
    ck_assert_str_eq(b->text, "j 0 #2 at 1 (1): u0 u1");
    ck_assert(!ADVANCE(b, .id = "j", .number = 1, .cursor = 2, .rejected = 2, .ends = true));
    ck_assert(!ADVANCE(b, .id = "j", .number = 3, .cursor = 2, .rejected = 2, .ends = true));
    ck_assert(!ADVANCE(b, .id = "j", .part = 1, .number = 2, .cursor = 2, .ends = true));
    ck_assert(!ADVANCE(b, .id = "none", .number = 2, .cursor = 2, .ends = true));
    ck_assert_str_eq(bed_all_jobs(b), "j running 1/2 (1)");
    ck_assert(ADVANCE(b, .id = "j", .number = 2, .cursor = 2, .rejected = 1, .ends = true));
    ck_assert(!ADVANCE(b, .id = "j", .number = 2, .cursor = 2, .rejected = 1, .ends = true));
    ck_assert_str_eq(bed_all_jobs(b), "j done 2/2 (1)");
    ck_assert_uint_eq(bed_sums(b).rejected, 1);
}

// A repeat stores nothing, also when it is too late; nor when the job is done, unless another claim
// has taken the key since.
static inline void case_job_repeats(struct bed *b) {
    ck_assert_int_eq(JOB(b, .id = "late", .not_after_ms = 1), OUTCOME(TOO_LATE));
    ck_assert_str_eq(bed_all_jobs(b), "");
    ck_assert_int_eq(JOB(b, .id = "j", .claim = 7), OUTCOME(STORED));
    ck_assert_int_eq(JOB(b, .id = "j", .claim = 7, .not_after_ms = 1), OUTCOME(REPLAYED));
    ck_assert_int_eq(JOB(b, .id = "j", .claim = 8), OUTCOME(REPLAYED));
    ck_assert_str_eq(bed_take(b), "j 0 #1 at 0 (0): u0 u1");
    ck_assert(ADVANCE(b, .id = "j", .number = 1, .cursor = 2, .ends = true));
    ck_assert_int_eq(JOB(b, .id = "j", .claim = 7), OUTCOME(REPLAYED));
    ck_assert_str_eq(bed_take(b), "");
    ck_assert_int_eq(JOB(b, .id = "j", .claim = 8), OUTCOME(STORED));
    ck_assert_str_eq(bed_all_jobs(b), "j queued 0/2 (0)");
    ck_assert_str_eq(bed_take(b), "j 0 #2 at 0 (0): u0 u1"); // no number is given twice
    ck_assert(!ADVANCE(b, .id = "j", .number = 1, .cursor = 2, .ends = true));
}

// At most so many of a product under way, and so many bytes of them; those of others do not count.
static inline void case_jobs_full(struct bed *b) {
    char id[16];
    for (int i = 0; i < JOBS_OPEN_MAX; i++) {
        snprintf(id, sizeof(id), "j%d", i);
        ck_assert_int_eq(JOB(b, .id = id), OUTCOME(STORED));
    }
    ck_assert_int_eq(JOB(b, .id = "more"), OUTCOME(JOBS_FULL));
    ck_assert_int_eq(JOB(b, .id = "j3"), OUTCOME(REPLAYED));
    ck_assert_int_eq(JOB(b, .product = 2, .id = "more"), OUTCOME(STORED));
    ck_assert_int_eq(JOB(b, .product = 2, .id = "large", .bytes = JOBS_BYTES_MAX),
                     OUTCOME(JOBS_FULL));
    while (strncmp(bed_take(b), "j0 ", 3) != 0)
        ;
    const Hawser__Internal__JobTakeReply *r = (const void *)b->reply;
    ck_assert(ADVANCE(b, .id = "j0", .number = r->number, .cursor = 2, .ends = true));
    ck_assert_int_eq(JOB(b, .id = "more"), OUTCOME(STORED));
}

// Newest first, behind a job, of a state, or one alone.
static inline void case_jobs_listed(struct bed *b) {
    Hawser__Internal__JobsRequest q = HAWSER__INTERNAL__JOBS_REQUEST__INIT;
    static char id[8];
    for (int i = 0; i < 4; i++) {
        snprintf(id, sizeof(id), "j%d", i);
        JOB(b, .id = id);
    }
    ck_assert_str_eq(bed_take(b), "j0 0 #1 at 0 (0): u0 u1");
    ck_assert(ADVANCE(b, .id = "j0", .number = 1, .cursor = 2, .ends = true));
    ck_assert_str_eq(bed_take(b), "j1 0 #1 at 0 (0): u0 u1");
    q.limit = 3;
    ck_assert_str_eq(bed_jobs(b, &q),
                     "j3 queued 0/2 (0), j2 queued 0/2 (0), j1 running 0/2 (0) more");
    const Hawser__Internal__JobsReply *r = (const void *)b->reply;
    q.accepted_ms = r->job[1]->accepted_ms;
    snprintf(id, sizeof(id), "%s", r->job[1]->id);
    q.id = id;
    ck_assert_str_eq(bed_jobs(b, &q), "j1 running 0/2 (0), j0 done 2/2 (0)");
    q.state = HAWSER__INTERNAL__JOB_STATE__JOB_DONE;
    ck_assert_str_eq(bed_jobs(b, &q), "j0 done 2/2 (0)");
    q.accepted_ms = 0;
    q.only = true;
    ck_assert_str_eq(bed_jobs(b, &q), "");
    q.state = HAWSER__INTERNAL__JOB_STATE__JOB_ANY;
    ck_assert_str_eq(bed_jobs(b, &q), "j2 queued 0/2 (0)");
    snprintf(id, sizeof(id), "none");
    ck_assert_str_eq(bed_jobs(b, &q), "");
}

#endif
