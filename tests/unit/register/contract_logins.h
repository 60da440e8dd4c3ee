// What every register store keeps of logins, takeovers and a user's devices.
#ifndef HW_CONTRACT_LOGINS_H
#define HW_CONTRACT_LOGINS_H

#include "register_bed.h"

// Generations rise and are not below the store's clock; a live session is named when it is
// replaced.
static inline void check_login(struct bed *b) {
    rooms_live(b);
    uint64_t store_ms = announce(b, "a", 11, 0, 60000)->store_ms;
    const Hawser__Internal__LoginReply *r = ROW(b, .incarnation = 11, .slot = 7);
    uint64_t first = r->generation;
    ck_assert_uint_ge(first, store_ms);
    ck_assert_ptr_null(r->replaced);
    r = ROW(b, .incarnation = 22, .slot = 8);
    ck_assert_uint_gt(r->generation, first);
    ck_assert_ptr_nonnull(r->replaced);
    ck_assert_uint_eq(r->replaced->incarnation, 11);
    ck_assert_uint_eq(r->replaced->slot, 7);
    ck_assert_uint_eq(r->replaced->generation, first);
    const Hawser__Internal__FindReply *f = find(b);
    ck_assert_uint_eq(f->n_row, 1);
    ck_assert(f->row[0]->online && !f->row[0]->ended);
    ck_assert_str_eq(f->row[0]->device, "d");
    ck_assert_str_eq(f->row[0]->room, "room-a");
    ck_assert_str_eq(f->row[0]->address, "192.0.2.1:5000");
    ck_assert_uint_eq(online(b), 1);
}

// A room's name and an address as long as the service lets through come back whole.
static inline void check_long_texts(struct bed *b) {
    char room[ROW_TEXT_MAX + 1], address[ROW_TEXT_MAX + 1];
    memset(room, 'r', ROW_TEXT_MAX);
    memset(address, 'a', ROW_TEXT_MAX);
    room[ROW_TEXT_MAX] = address[ROW_TEXT_MAX] = '\0';
    rooms_live(b);
    Hawser__Internal__LoginRequest q = HAWSER__INTERNAL__LOGIN_REQUEST__INIT;
    q.product = 1;
    q.user = (char *)"u";
    q.device = (char *)"d";
    q.room = room;
    q.address = address;
    q.incarnation = 11;
    ck_assert_uint_eq(login(b, &q)->refused, 0);
    const Hawser__Internal__FindReply *f = find(b);
    ck_assert_uint_eq(f->n_row, 1);
    ck_assert_str_eq(f->row[0]->room, room);
    ck_assert_str_eq(f->row[0]->address, address);
}

// A row whose generation lies ahead of the store's clock, as of a store that went back: each login
// is above it all the same, whether the row is offline, of a run that is gone, or a live session's.
static inline void check_login_above(struct bed *b) {
    enum { AHEAD_MS = 3600 * 1000, GONE = 33 };
    rooms_live(b);
    uint64_t ahead = announce(b, "a", 11, 0, 60000)->store_ms + AHEAD_MS;
    (void)confirm(b, GONE, 7, ahead);
    ck_assert_uint_eq(find(b)->row[0]->generation, ahead);
    ck_assert_uint_eq(ROW(b, .incarnation = 11)->generation, ahead + 1);
    const Hawser__Internal__LoginReply *r = ROW(b, .incarnation = 22); // live
    ck_assert_uint_eq(r->generation, ahead + 2);
    ck_assert_uint_eq(r->replaced->generation, ahead + 1);
    ck_assert(drop(b, 22, ahead + 2));
    ck_assert_uint_eq(ROW(b, .incarnation = 11)->generation, ahead + 3);
    ck_assert_uint_eq(find(b)->row[0]->generation, ahead + 3);
}

static inline void takeover(struct bed *b) {
    Hawser__Internal__TakeoverRequest q = HAWSER__INTERNAL__TAKEOVER_REQUEST__INIT;
    q.product = 1;
    q.user = (char *)"u";
    q.device = (char *)"d";
    ask(b, &q.base);
}

// A step that comes too late, or a sixth takeover in a minute, writes nothing.
static inline void check_refusals(struct bed *b) {
    rooms_live(b);
    ck_assert_uint_eq(ROW(b, .incarnation = 11, .not_after_ms = 1)->refused, 4101);
    const Hawser__Internal__FindReply *f = find(b);
    ck_assert(f->n_row == 0 || !f->row[0]->online);
    for (int i = 0; i < 6; i++) {
        ck_assert_uint_eq(ROW(b, .incarnation = 11, .slot = 1)->refused, 0);
        if (i > 0)
            takeover(b);
    }
    const Hawser__Internal__LoginReply *r = ROW(b, .incarnation = 22, .slot = 2);
    ck_assert_uint_eq(r->refused, 4103);
    ck_assert(!r->devices_full);
    ck_assert_uint_gt(r->retry_after_ms, 0);
    ck_assert_uint_le(r->retry_after_ms, 60000);
    f = find(b);
    ck_assert_uint_eq(f->row[0]->incarnation, 11);
    // Whoever comes back when it is free takes nothing over.
    ck_assert(drop(b, 11, f->row[0]->generation));
    ck_assert_uint_eq(ROW(b, .incarnation = 22, .slot = 2)->refused, 0);
}

// A login that its client may have asked for before the row's is refused, and takes nothing over;
// one that was asked for after it has the row, and so has any where the row is nobody's.
static inline void check_asked_before(struct bed *b) {
    rooms_live(b);
    uint64_t before = ROW(b, .incarnation = 11, .slot = 7)->generation;
    const Hawser__Internal__LoginReply *r = ROW(b, .incarnation = 22, .asked_ago_ms = 60000);
    ck_assert_uint_eq(r->refused, 4101);
    ck_assert_uint_eq(r->generation, 0);
    ck_assert_ptr_null(r->replaced);
    ck_assert_uint_eq(find(b)->row[0]->incarnation, 11);
    while (announce(b, "a", 11, 0, 60000)->store_ms < before + 2)
        continue;
    r = ROW(b, .incarnation = 22, .asked_ago_ms = 1);
    ck_assert_uint_eq(r->refused, 0);
    ck_assert_uint_eq(r->replaced->generation, before);
    ck_assert(drop(b, 22, r->generation));
    ck_assert_uint_eq(ROW(b, .incarnation = 11, .asked_ago_ms = 60000)->refused, 0);
}

// Logins that find a row of a live room are no takeovers before that room says so: a program that
// is killed and started again is not locked out.
static inline void check_restarts(struct bed *b) {
    rooms_live(b);
    for (int i = 0; i < 12; i++)
        ck_assert_uint_eq(ROW(b, .incarnation = 11, .slot = (uint64_t)i)->refused, 0);
}

static inline const Hawser__Internal__LoginReply *login_device(struct bed *b, int i) {
    char device[16];
    snprintf(device, sizeof(device), "d%d", i);
    return ROW_OF(b, device, .incarnation = 11, .slot = (uint64_t)i, .devices_max = 4);
}

static inline void drop_device(struct bed *b, int i, uint64_t generation) {
    char device[16];
    snprintf(device, sizeof(device), "d%d", i);
    ck_assert(drop_of(b, device, 11, generation));
    uint64_t from = loop_now_ms(b->loop); // the next one is unseen from a later moment on
    while (loop_now_ms(b->loop) < from + 3)
        loop_step(b->loop, 1);
}

static inline bool has_row(struct bed *b, const char *device) {
    const Hawser__Internal__FindReply *f = find(b);
    for (size_t i = 0; i < f->n_row; i++)
        if (strcmp(f->row[i]->device, device) == 0)
            return true;
    return false;
}

// One device more than a user may have takes the place of the offline one that was unseen longest;
// where all are online it is refused. A thousand names leave as many rows as are allowed.
static inline void check_devices(struct bed *b) {
    uint64_t generation[4];
    rooms_live(b);
    for (int i = 0; i < 4; i++)
        generation[i] = login_device(b, i)->generation;
    const Hawser__Internal__LoginReply *r = login_device(b, 4);
    ck_assert_uint_eq(r->refused, 4103);
    ck_assert(r->devices_full);
    ck_assert_uint_gt(r->retry_after_ms, 0);
    ck_assert_uint_eq(login_device(b, 0)->refused, 0); // a known one has its place
    drop_device(b, 2, generation[2]);
    drop_device(b, 1, generation[1]);
    r = login_device(b, 4);
    ck_assert_uint_eq(r->refused, 0);
    ck_assert_uint_eq(r->n_device, 4);
    ck_assert(!has_row(b, "d2") && has_row(b, "d1") && has_row(b, "d4"));
    ck_assert_uint_eq(login_device(b, 4)->n_device, 0); // no news
    ck_assert_uint_eq(online(b), 3);
    for (int i = 10; i < 1000; i++) {
        char device[16];
        snprintf(device, sizeof(device), "d%d", i);
        ck_assert(drop_of(b, device, 11, login_device(b, i)->generation));
    }
    ck_assert_uint_eq(find(b)->n_row, 4);
    ck_assert_uint_eq(online(b), 3);
}

// A void row gives way like an offline one. Its session may live all the same: it has its place.
static inline void check_devices_void(struct bed *b) {
    uint64_t generation = 0;
    rooms_live(b);
    for (int i = 0; i < 4; i++)
        generation = login_device(b, i)->generation;
    announce(b, "a", 11, 0, 1);
    let_it_be_seen(b);
    loop_step(b->loop, 20);
    watch(b, 0, 0, 0, 0);
    let_it_be_seen(b);
    for (int i = 0; i < 4; i++) {
        char device[16];
        snprintf(device, sizeof(device), "e%d", i);
        ck_assert_uint_eq(ROW_OF(b, device, .incarnation = 22, .devices_max = 4)->refused, 0);
    }
    ck_assert_uint_eq(find(b)->n_row, 4);
    announce(b, "a", 11, 0, 60000);
    let_it_be_seen(b);
    ck_assert_uint_eq(online(b), 4);
    ck_assert_int_eq(confirm_device(b, "d3", 3, generation)->outcome,
                     HAWSER__INTERNAL__CONFIRMED__CONFIRMED_REWRITTEN);
    ck_assert_uint_eq(find(b)->n_row, 5);
    ck_assert_uint_eq(online(b), 5);
}

#endif
