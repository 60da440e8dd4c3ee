// Broadcasts in one walk over two sessions whose sends go out together, and entries of a log that a
// session does not get as they lie.
#include "peers.h"

static void put_gap(struct buf *out, const struct room_binding *b, const struct stream_range *at,
                    enum gap_reason reason) {
    (void)b;
    (void)reason;
    buf_printf(out, "(%llu-%llu)", (unsigned long long)at->first, (unsigned long long)at->last);
}

static struct voice telling_gaps(void) {
    struct voice v = tiny;
    v.ack_limits.messages = 10;
    v.put_gap = put_gap;
    return v;
}

static void hear(uint64_t seq, const char *payload, char *tag) {
    Hawser__Internal__Audience some = HAWSER__INTERNAL__AUDIENCE__INIT;
    Hawser__Internal__StoredMessage m = *message(payload);
    some.n_any = 1;
    some.any = &tag;
    m.audience = tag ? &some : NULL;
    news_heard(news(), (struct stream_position){EPOCH, seq}, &m);
}

// The first of three goes out to both at once; what is behind the one that is for others follows in
// the same slice of the walk.
START_TEST(test_what_is_behind_a_batch) {
    const struct voice v = telling_gaps();
    char vip[] = "vip";
    begin(&v);
    takes_bindings(2);
    log_in(all, 0, 0);
    room_binding_name(binding, "ann", NULL);
    client_gets("!");
    struct conn *first = bed.conn;
    int first_client = client;
    bed_conn(&bed, &v);
    connect_client();
    bed_open(&bed);
    log_in(all, 0, 0);
    room_binding_name(binding, "bob", NULL);
    client_gets("!");
    hear(1, "a", NULL);
    hear(2, "b", vip);
    hear(3, "c", NULL);
    loop_step(bed.room.loop, 0);
    client_gets("ac");
    int second_client = client;
    client = first_client;
    client_gets("ac");
    close(first_client);
    client = second_client;
    conn_end(first);
    end();
}
END_TEST

// A gap that begins where the session is: what is left of it is told.
START_TEST(test_a_gap_that_has_begun) {
    const struct voice v = telling_gaps();
    Hawser__Internal__LoadReply reply = HAWSER__INTERNAL__LOAD_REPLY__INIT;
    Hawser__Internal__LoadEntry entry[2], *list[2] = {&entry[0], &entry[1]};
    begin_among_peers(&v);
    log_in(all, 2, 2);
    room_binding_name(binding, "ann", NULL);
    bed.conn->device = hw_strdup("phone");
    bed.room.effects.run = carry_out_all;
    client_gets("!");
    hear(5, "e", NULL);
    time_passes(100);
    hawser__internal__load_entry__init(&entry[0]);
    hawser__internal__load_entry__init(&entry[1]);
    entry[0].seq = 2;
    entry[0].last = 4;
    entry[0].gap_reason = GAP_EXPIRED;
    entry[1].seq = 5;
    entry[1].message = message("e");
    reply.epoch = EPOCH;
    reply.head = 5;
    reply.n_entry = 2;
    reply.entry = list;
    answer(asked(&hawser__internal__load_request__descriptor), &reply.base);
    client_gets("(3-4)e");
    end_among_peers();
}
END_TEST

RUN_TESTS("news", test_what_is_behind_a_batch, test_a_gap_that_has_begun)
