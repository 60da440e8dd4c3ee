// A store over two (docs/STORE.md): the memory store of a saver, and behind it a shelf, which is
// slow, fails and goes away. Appends are landed on the shelf first, and loads find there what the
// front has let go of; all else is the front's.
#include "store_bed.h"

#include "deadline.h"
#include "store_pair.h"

enum { ROWS_MAX = 32, SHELF_DEADLINE_MS = 20 };

// --- the shelf: two methods, one after the other

struct shelf {
    struct store store;                         // first
    struct timer work;                          // on the first of its steps
    struct deadline deadline;                   // of that one
    Hawser__Internal__LoadEntry *row[ROWS_MAX]; // owned; seq 0: landed, and not marked yet
    int rows;
    bool is_silent;
    const char *down;
    int fails; // so many steps are refused
};
static struct shelf *shelf;

static Hawser__Internal__LoadEntry *row_new(uint64_t seq,
                                            const Hawser__Internal__StoredMessage *m) {
    Hawser__Internal__LoadEntry *e = hw_malloc(sizeof(*e));
    hawser__internal__load_entry__init(e);
    e->seq = e->last = seq;
    e->message = (Hawser__Internal__StoredMessage *)message_copy(&m->base);
    return e;
}

// An append is landed; one with a seq (here: its claim) marks what has landed.
static ProtobufCMessage *shelf_append(const Hawser__Internal__AppendRequest *q) {
    Hawser__Internal__AppendReply *reply = hw_malloc(sizeof(*reply));
    hawser__internal__append_reply__init(reply);
    for (int i = 0; i < shelf->rows; i++) {
        if (strcmp(shelf->row[i]->message->id, q->message->id) == 0) {
            shelf->row[i]->seq = shelf->row[i]->last = q->claim;
            return &reply->base;
        }
    }
    ck_assert_int_lt(shelf->rows, ROWS_MAX);
    shelf->row[shelf->rows++] = row_new(0, q->message);
    return &reply->base;
}

static ProtobufCMessage *shelf_load(const Hawser__Internal__LoadRequest *q) {
    Hawser__Internal__LoadReply *reply = hw_malloc(sizeof(*reply));
    hawser__internal__load_reply__init(reply);
    reply->entry = hw_calloc(ROWS_MAX, sizeof(reply->entry[0]));
    for (int i = 0; i < shelf->rows; i++) {
        uint64_t seq = shelf->row[i]->seq;
        if (seq > q->after && seq <= q->after + q->max_messages)
            reply->entry[reply->n_entry++] = row_new(seq, shelf->row[i]->message);
    }
    return &reply->base;
}

static void shelf_go_on(struct shelf *s);

static void shelf_end_first(int error, ProtobufCMessage *reply) {
    struct store_step *p = TAILQ_FIRST(&shelf->store.begun);
    loop_disarm(shelf->store.loop, &shelf->work);
    deadline_clear(&shelf->deadline);
    store_step_complete(p, error, reply);
    shelf_go_on(shelf);
}

static void on_shelf_work(struct timer *t) {
    const struct store_step *p = TAILQ_FIRST(&shelf->store.begun);
    bool is_append = p->request->descriptor == &hawser__internal__append_request__descriptor;
    (void)t;
    if (shelf->fails > 0) {
        shelf->fails--;
        shelf_end_first(-HW_ESTORE, NULL);
    } else if (is_append) {
        shelf_end_first(0, shelf_append((const Hawser__Internal__AppendRequest *)p->request));
    } else {
        shelf_end_first(0, shelf_load((const Hawser__Internal__LoadRequest *)p->request));
    }
}

static void on_shelf_late(struct deadline *d) {
    (void)d;
    shelf_end_first(-HW_EOUTCOME, NULL);
}

static void shelf_go_on(struct shelf *s) {
    if (TAILQ_EMPTY(&s->store.begun) || timer_is_armed(&s->deadline.timer))
        return;
    deadline_set(&s->deadline, s->store.loop, deadline_in(s->store.loop, SHELF_DEADLINE_MS),
                 on_shelf_late);
    if (!s->is_silent)
        loop_arm(s->store.loop, &s->work, 1, on_shelf_work);
}

static void begin_shelf(struct store_step *p, const ProtobufCMessage *request) {
    if (shelf->down) {
        store_step_complete(p, -HW_ESTORE, NULL);
        return;
    }
    store_step_keep(p, request);
    shelf_go_on(shelf);
}

static const char *shelf_down(struct store *s) {
    return ((struct shelf *)s)->down;
}

static void shelf_stop(struct store *s) {
    loop_disarm(s->loop, &shelf->work);
    deadline_clear(&shelf->deadline);
    for (int i = 0; i < shelf->rows; i++)
        hawser__internal__load_entry__free_unpacked(shelf->row[i], NULL);
}

// --- the front: a memory store that may refuse

struct front {
    struct store_pair pair; // with nothing behind
    int fails;
};
static struct front *front;

static void begin_front(struct store_step *p, const ProtobufCMessage *request) {
    if (front->fails > 0) {
        front->fails--;
        store_step_complete(p, -HW_ESTORE, NULL);
        return;
    }
    store_step_pass(p, store_pair_of(p)->front, request);
}

static void front_stop(struct store *s) {
    store_free(((struct store_pair *)s)->front);
}

// --- the pair

static void on_marked(void *arg, int error, const ProtobufCMessage *reply) {
    (void)arg; // what is not marked is appended again by whoever finds it
    (void)error;
    (void)reply;
}

static void on_appended(void *arg, int error, const ProtobufCMessage *reply) {
    struct store_step *p = arg;
    Hawser__Internal__AppendRequest *q = (Hawser__Internal__AppendRequest *)p->request;
    if (error != 0) { // landed, so that it may be appended yet
        store_step_complete(p, error == -HW_ECANCELLED ? error : -HW_EOUTCOME, NULL);
        return;
    }
    q->claim = ((const Hawser__Internal__AppendReply *)reply)->seq;
    store_call(store_pair_of(p)->back, p->request, on_marked, NULL);
    store_step_complete(p, 0, message_copy(reply));
}

static void on_landed(void *arg, int error, const ProtobufCMessage *reply) {
    struct store_step *p = arg;
    (void)reply;
    if (error != 0)
        store_step_complete(p, error, NULL);
    else
        store_call(store_pair_of(p)->front, p->request, on_appended, p);
}

static void begin_append(struct store_step *p, const ProtobufCMessage *request) {
    store_step_keep(p, request);
    store_call(store_pair_of(p)->back, request, on_landed, p);
}

// What the back has takes the place of the gap.
static void on_back_loaded(void *arg, int error, const ProtobufCMessage *message) {
    struct store_step *p = arg;
    const Hawser__Internal__LoadReply *old = (const Hawser__Internal__LoadReply *)message;
    Hawser__Internal__LoadReply *reply = (Hawser__Internal__LoadReply *)p->reply;
    if (error != 0) {
        store_step_complete(p, error, NULL);
        return;
    }
    size_t count = old->n_entry;
    reply->entry = hw_realloc(reply->entry, (reply->n_entry + count) * sizeof(reply->entry[0]));
    hawser__internal__load_entry__free_unpacked(reply->entry[0], NULL);
    memmove(reply->entry + count, reply->entry + 1, (reply->n_entry - 1) * sizeof(reply->entry[0]));
    for (size_t i = 0; i < count; i++)
        reply->entry[i] = row_new(old->entry[i]->seq, old->entry[i]->message);
    reply->n_entry += count - 1;
    store_step_complete(p, 0, p->reply);
}

static void on_front_loaded(void *arg, int error, const ProtobufCMessage *message) {
    struct store_step *p = arg;
    const Hawser__Internal__LoadReply *reply = (const Hawser__Internal__LoadReply *)message;
    if (error != 0 || reply->n_entry == 0 || reply->entry[0]->message) {
        store_step_complete(p, error, error ? NULL : message_copy(message));
        return;
    }
    Hawser__Internal__LoadRequest q = HAWSER__INTERNAL__LOAD_REQUEST__INIT;
    q.after = reply->entry[0]->seq - 1;
    q.max_messages = (uint32_t)(reply->entry[0]->last - q.after);
    p->reply = message_copy(message);
    store_call(store_pair_of(p)->back, &q.base, on_back_loaded, p);
}

static void begin_load(struct store_step *p, const ProtobufCMessage *request) {
    store_call(store_pair_of(p)->front, request, on_front_loaded, p);
}

// --- the bed

static struct store *pair_open(struct loop *l) {
    static const struct store_method rows[] = {
        {"append", &hawser__internal__append_request__descriptor, begin_append},
        {"load", &hawser__internal__load_request__descriptor, begin_load}};
    static const struct store_kind pair_kind = {.methods = rows,
                                                .method_count = 2,
                                                STORE_PAIR_FUNCTIONS},
                                   shelf_kind = {.other = begin_shelf,
                                                 .down_reason = shelf_down,
                                                 .stop = shelf_stop},
                                   front_kind = {.other = begin_front, .stop = front_stop};
    struct store_pair *p = hw_calloc(1, sizeof(*p));
    shelf = hw_calloc(1, sizeof(*shelf));
    store_init(&shelf->store, &shelf_kind, l);
    front = hw_calloc(1, sizeof(*front));
    store_init(&front->pair.store, &front_kind, l);
    front->pair.front = saver_store_memory(l);
    store_pair_init(p, &pair_kind, &front->pair.store, &shelf->store);
    return &p->store;
}

static const struct store_factory factory = {"pair", pair_open, NULL, NULL};

// Of a log that keeps two. A claim is the mark of the shelf, and the front is given none.
static void store_ids(struct bed *b, const char *ids) {
    for (const char *at = ids; *at; at++)
        STORE(b, .user = "u", .id = (char[]){*at, '\0'}, .messages = 2);
}

static int append_fails_with(struct bed *b, char *id) {
    Hawser__Internal__AppendRequest q = HAWSER__INTERNAL__APPEND_REQUEST__INIT;
    Hawser__Internal__StoredMessage m = HAWSER__INTERNAL__STORED_MESSAGE__INIT;
    q.product = 1;
    q.user = (char[]){"u"};
    q.message = &m;
    m.id = id;
    ck_assert_ptr_null(bed_try(b, &q.base));
    return b->error;
}

static int load_fails_with(struct bed *b, uint64_t after) {
    Hawser__Internal__LoadRequest q = HAWSER__INTERNAL__LOAD_REQUEST__INIT;
    q.product = 1;
    q.user = (char[]){"u"};
    q.device = (char[]){""};
    q.epoch = bed_head(b, STREAM_INBOX, "u").epoch;
    q.after = after;
    q.max_messages = q.max_bytes = 1000;
    (void)bed_try(b, &q.base);
    return b->error;
}

// Old ones come from the back, in their order; without it they are a gap.
START_TEST(test_load_of_old) {
    struct bed b;
    bed_open(&b, &factory);
    store_ids(&b, "abcde");
    ck_assert_str_eq(LOAD(&b, .user = "u"), "1 2 3 4 5");
    ck_assert_str_eq(LOAD(&b, .user = "u", .after = 2), "3 4 5");
    ck_assert_str_eq(LOAD(&b, .user = "u", .after = 3), "4 5");
    ck_assert_uint_eq(bed_head(&b, STREAM_INBOX, "u").head, 5);
    bed_close(&b);
}
END_TEST

// The back is away: nothing is appended there or at the front, what needs it fails, what does not
// is done, and the pair is not down for it. Afterwards all is as before.
START_TEST(test_back_is_away) {
    struct bed b;
    bed_open(&b, &factory);
    store_ids(&b, "abcd");
    ck_assert_ptr_null(store_down_reason(b.store));
    shelf->down = "the shelf is away";
    ck_assert_ptr_null(store_down_reason(b.store));
    ck_assert_str_eq(store_down_reason(&shelf->store), "the shelf is away");
    ck_assert_int_eq(append_fails_with(&b, (char[]){"x"}), -HW_ESTORE);
    ck_assert_int_eq(load_fails_with(&b, 0), -HW_ESTORE);
    ck_assert_int_eq(load_fails_with(&b, 2), 0);
    ck_assert_uint_eq(bed_head(&b, STREAM_INBOX, "u").head, 4);
    shelf->down = NULL;
    ck_assert_ptr_null(store_down_reason(b.store));
    store_ids(&b, "x");
    ck_assert_str_eq(LOAD(&b, .user = "u"), "1 2 3 4 5");
    bed_close(&b);
}
END_TEST

// What nobody knows is said so, and counted: the back did not answer in time, or the message has
// landed and the front refused it.
START_TEST(test_outcomes) {
    struct bed b;
    struct store_counts counts = {0};
    bed_open(&b, &factory);
    store_count_into(b.store, &counts);
    shelf->fails = 1;
    ck_assert_int_eq(append_fails_with(&b, (char[]){"a"}), -HW_ESTORE);
    ck_assert_uint_eq(counts.outcome_unknown, 0);
    shelf->is_silent = true;
    ck_assert_int_eq(append_fails_with(&b, (char[]){"a"}), -HW_EOUTCOME);
    shelf->is_silent = false;
    ck_assert_int_eq(shelf->rows, 0);
    front->fails = 1;
    ck_assert_int_eq(append_fails_with(&b, (char[]){"a"}), -HW_EOUTCOME);
    ck_assert_uint_eq(counts.errors, 3);
    ck_assert_uint_eq(counts.outcome_unknown, 2);
    ck_assert_int_eq(shelf->rows, 1);
    ck_assert_uint_eq(bed_head(&b, STREAM_INBOX, "u").head, 0);
    ck_assert_uint_eq(STORE(&b, .user = "u", .id = "a"), 1); // the id makes it harmless
    ck_assert_int_eq(shelf->rows, 1);
    bed_close(&b);
}
END_TEST

enum { STEPS = 6 };
static int told[STEPS], order[STEPS], told_count, errors[STEPS];
static const int number[STEPS] = {0, 1, 2, 3, 4, 5};
static void on_told(void *arg, int error, const ProtobufCMessage *reply) {
    int i = *(const int *)arg;
    ck_assert_int_eq(error != 0, reply == NULL);
    told[i]++;
    errors[i] = error;
    if (told_count < STEPS)
        order[told_count] = i;
    told_count++;
}

// Three appends, and behind each the product's sums, which only the front is asked for.
static void ask_six(struct bed *b) {
    Hawser__Internal__AppendRequest q = HAWSER__INTERNAL__APPEND_REQUEST__INIT;
    Hawser__Internal__StatsRequest stats = HAWSER__INTERNAL__STATS_REQUEST__INIT;
    Hawser__Internal__StoredMessage m = HAWSER__INTERNAL__STORED_MESSAGE__INIT;
    Hawser__Internal__InboxLimits limits = HAWSER__INTERNAL__INBOX_LIMITS__INIT;
    char id[2] = "a";
    limits.messages = limits.bytes = 1000;
    stats.product = q.product = 1;
    q.user = (char[]){"u"};
    q.message = &m;
    q.limits = &limits;
    m.id = id;
    told_count = 0;
    memset(told, 0, sizeof(told));
    for (int i = 0; i < STEPS; i++) {
        const ProtobufCMessage *request = i % 2 ? &stats.base : &q.base;
        store_call(b->store, request, on_told, (void *)(uintptr_t)&number[i]);
        if (i % 2)
            id[0]++;
    }
    ck_assert_int_eq(told_count, 0);
}

// Each is told once; steps that take the same way keep their order, and nobody waits for a way that
// he does not take.
START_TEST(test_order) {
    struct bed b;
    bed_open(&b, &factory);
    ask_six(&b);
    while (told_count < STEPS)
        loop_step(b.loop, -1);
    static const int want[STEPS] = {1, 3, 5, 0, 2, 4};
    ck_assert_mem_eq(order, want, sizeof(want));
    ck_assert_str_eq(LOAD(&b, .user = "u"), "1 2 3");
    while (!TAILQ_EMPTY(&shelf->store.begun)) // its marks
        loop_step(b.loop, -1);
    for (uint64_t i = 0; i < 3; i++)
        ck_assert_uint_eq(shelf->row[i]->seq, i + 1);
    bed_close(&b);
    for (int i = 0; i < STEPS; i++)
        ck_assert_int_eq(told[i], 1);
}
END_TEST

// The store ends while its steps are at the back, at the front, or have an answer that nobody was
// told: each is cancelled once.
START_TEST(test_ends_with_steps_open) {
    for (int round = 0; round < 3; round++) {
        struct bed b;
        bed_open(&b, &factory);
        shelf->is_silent = round == 0;
        ask_six(&b);
        while (round == 2 && told_count < 4) // some done, one at the front
            loop_step(b.loop, -1);
        int before = told_count;
        bed_close(&b);
        ck_assert_int_eq(told_count, STEPS);
        for (int i = 0; i < STEPS; i++)
            ck_assert_int_eq(told[i], 1);
        for (int i = before; i < STEPS; i++)
            ck_assert_int_eq(errors[order[i]], -HW_ECANCELLED);
    }
}
END_TEST

RUN_TESTS("store_pair", test_load_of_old, test_back_is_away, test_outcomes, test_order,
          test_ends_with_steps_open)
