// The daemons that a register tells of, and which of them is asked: one that answers, whatever the
// order in which they were told of; and what waits for one that says nothing is asked of another.
#include "cluster_world.h"

enum { KEYS = 64 };

static const int orders[2][SAVERS] = {{0, 1}, {1, 0}};

// Links are made when they are asked for.
static void until_picked_up(int saver) {
    UNTIL(rpc_link_is_up(cluster_peer(w.cluster, w.savers[saver].self.incarnation)));
}

START_TEST(test_one_that_is_up_is_picked) {
    for (int order = 0; order < 2; order++)
        for (int up = 0; up < SAVERS; up++) {
            world_begin();
            fake_ends(&w.savers[1 - up]);
            register_tells(orders[order], SAVERS, 0);
            until_picked_up(up);
            struct rpc_link *link = cluster_peer(w.cluster, w.savers[up].self.incarnation);
            for (uint64_t key = 0; key < KEYS; key++)
                ck_assert_ptr_eq(cluster_pick(w.cluster, "saver", key), link);
            ck_assert_ptr_null(cluster_pick(w.cluster, "room", 0));
            world_end();
        }
}
END_TEST

// Of two that are up each has keys, and the same ones whatever the order.
START_TEST(test_both_are_picked) {
    uint64_t picked[2][KEYS];
    unsigned firsts = 0;
    for (int order = 0; order < 2; order++) {
        world_begin();
        register_tells(orders[order], SAVERS, 0);
        until_picked_up(0);
        until_picked_up(1);
        for (uint64_t key = 0; key < KEYS; key++)
            picked[order][key] = rpc_link_peer_incarnation(cluster_pick(w.cluster, "saver", key));
        world_end();
    }
    ck_assert_mem_eq(picked[0], picked[1], sizeof(picked[0]));
    for (int key = 0; key < KEYS; key++)
        firsts += picked[0][key] == 100;
    ck_assert(firsts > 0 && firsts < KEYS);
}
END_TEST

// Who is not in a whole directory is gone, and nobody else is.
START_TEST(test_whole) {
    world_begin();
    register_tells(orders[0], SAVERS, 0);
    register_tells(orders[1], SAVERS, 0);
    ck_assert_uint_eq(w.gone, 0);
    register_tells(&orders[0][1], 1, 0);
    ck_assert_uint_eq(w.gone, 1);
    const Hawser__Internal__Member *m = cluster_member_next(w.cluster, "saver", NULL);
    ck_assert_uint_eq(m->incarnation, w.savers[1].self.incarnation);
    ck_assert_ptr_null(cluster_member_next(w.cluster, "saver", m));
    ck_assert_ptr_null(cluster_peer(w.cluster, w.savers[0].self.incarnation));
    world_end();
}
END_TEST

static int heads_error;
static void on_heads(void *arg, int error, const Hawser__Internal__ProductHeadsReply *reply) {
    bool *came = arg;
    (void)reply;
    ck_assert(!*came);
    *came = true;
    heads_error = error;
}

// What may be repeated is given up half a second after its saver fell silent where another one is
// there to be asked; where none is, it has its whole time.
START_TEST(test_silent) {
    for (int others = 0; others < 2; others++) {
        Hawser__Internal__ProductHeadsRequest q = HAWSER__INTERNAL__PRODUCT_HEADS_REQUEST__INIT;
        bool came = false;
        world_begin();
        register_tells(orders[0], SAVERS, 0);
        until_picked_up(0);
        if (others)
            until_picked_up(1);
        w.savers[0].stands_still = true;
        saver_product_heads(peer_by(w.cluster, cluster_peer(w.cluster, 100)), &q, on_heads, &came);
        world_passes(900);
        ck_assert_int_eq(came, others == 1);
        world_passes(2099);
        ck_assert_int_eq(came, others == 1);
        world_passes(1);
        ck_assert(came);
        ck_assert_int_eq(heads_error, -HW_EDEADLINE);
        world_end();
    }
}
END_TEST

static unsigned keys_of(int saver) {
    const struct rpc_link *link = cluster_peer(w.cluster, w.savers[saver].self.incarnation);
    unsigned count = 0;
    for (uint64_t key = 0; key < KEYS; key++)
        count += cluster_pick(w.cluster, "saver", key) == link;
    return count;
}

static void heads_are_refused(int saver) {
    Hawser__Internal__ProductHeadsRequest q = HAWSER__INTERNAL__PRODUCT_HEADS_REQUEST__INIT;
    struct rpc_link *link = cluster_peer(w.cluster, w.savers[saver].self.incarnation);
    bool came = false;
    w.savers[saver].fails = true;
    heads_error = 0;
    saver_product_heads(peer_by(w.cluster, link), &q, on_heads, &came);
    UNTIL(heads_error != 0);
    ck_assert_int_eq(heads_error, -HW_ESTORE);
}

// For a second the keys of one that has no store are the other's; where both have none, each has
// its own.
START_TEST(test_without_a_store) {
    world_begin();
    register_tells(orders[0], SAVERS, 0);
    until_picked_up(0);
    until_picked_up(1);
    unsigned own = keys_of(0);
    ck_assert(own > 0 && own < KEYS);
    heads_are_refused(0);
    ck_assert_uint_eq(keys_of(0), 0);
    world_passes(999);
    ck_assert_uint_eq(keys_of(0), 0);
    world_passes(1);
    ck_assert_uint_eq(keys_of(0), own);
    heads_are_refused(0);
    heads_are_refused(1);
    ck_assert_uint_eq(keys_of(0), own);
    world_end();
}
END_TEST

RUN_TESTS("directory", test_one_that_is_up_is_picked, test_both_are_picked, test_whole, test_silent,
          test_without_a_store)
