// What every register store keeps of daemons that live, and of the catalog.
#ifndef HW_CONTRACT_DIRECTORY_H
#define HW_CONTRACT_DIRECTORY_H

#include "register_bed.h"

static inline void check_directory(struct bed *b) {
    rooms_live(b);
    const Hawser__Internal__WatchReply *w = watch(b, 0, 0, 0, 0);
    ck_assert(w->directory_whole);
    ck_assert_uint_eq(w->n_member, 2);
    uint64_t epoch = w->directory_epoch, version = w->directory_version, ce = w->catalog_epoch;
    ck_assert_uint_gt(epoch, 0);
    ck_assert_uint_gt(w->index_epoch, 0);
    // A renewal, also with a little more load, is no news for a while; but nobody is told too
    // little of it for longer.
    announce(b, "a", 11, 10, 60000);
    w = watch(b, epoch, version, ce, 0);
    ck_assert_uint_eq(w->n_member + w->n_gone, 0);
    while (w->n_member == 0) {
        loop_step(b->loop, 100);
        announce(b, "a", 11, 10, 60000);
        w = watch(b, epoch, version, ce, 0);
    }
    ck_assert_uint_eq(w->member[0]->sessions, 10);
    version = w->directory_version;
    announce(b, "a", 11, 10, 60000);
    ck_assert_uint_eq(watch(b, epoch, version, ce, 0)->n_member, 0);
    announce(b, "a", 11, 5000, 60000);
    w = watch(b, epoch, version, ce, 0);
    ck_assert_uint_eq(w->n_member, 1);
    ck_assert_uint_eq(w->member[0]->sessions, 5000);
    version = w->directory_version;
    // Another run at the same place ends the older one.
    announce(b, "a", 12, 0, 60000);
    w = watch(b, epoch, version, ce, 0);
    ck_assert_uint_eq(w->n_member, 1);
    ck_assert_uint_eq(w->n_gone, 1);
    ck_assert_uint_eq(w->gone[0]->incarnation, 11);
    ck_assert(!w->gone[0]->clean);
    version = w->directory_version;
    Hawser__Internal__WithdrawRequest q = HAWSER__INTERNAL__WITHDRAW_REQUEST__INIT;
    q.incarnation = 22;
    ask(b, &q.base);
    w = watch(b, epoch, version, ce, 0);
    ck_assert_uint_eq(w->n_gone, 1);
    ck_assert(w->gone[0]->clean);
    version = w->directory_version;
    // A run that was given up and announces again is back.
    announce(b, "b", 22, 0, 60000);
    w = watch(b, epoch, version, ce, 0);
    ck_assert_uint_eq(w->n_member, 1);
    ck_assert_uint_eq(w->n_gone, 0);
    // Another epoch: everything that lives, and nothing of what is gone.
    w = watch(b, epoch + 1, 0, ce, 0);
    ck_assert(w->directory_whole);
    ck_assert_uint_eq(w->n_member, 2);
    ck_assert_uint_eq(w->n_gone, 0);
}

static inline void check_catalog(struct bed *b) {
    const Hawser__Internal__CatalogPutReply *r = put(b, "one", 0, 0, false);
    ck_assert(!r->conflict);
    uint64_t version = r->entry->version;
    uint32_t number = number_of(r->entry);
    ck_assert_uint_gt(number, 0);
    ck_assert(put(b, "one", 0, 0, false)->conflict);
    ck_assert(put(b, "one", number, version + 1, false)->conflict);
    r = put(b, "one", number, version, false);
    ck_assert(!r->conflict);
    ck_assert_uint_eq(number_of(r->entry), number);
    version = r->entry->version;
    r = put(b, "one", number, version, true);
    ck_assert(!r->conflict && r->entry->deleted);
    // Made again it is another product; a deletion is an entry, never an absence.
    const Hawser__Internal__WatchReply *w = watch(b, 0, 0, 0, 0);
    ck_assert_uint_eq(w->n_entry, 1);
    ck_assert(w->entry[0]->deleted);
    uint64_t de = w->directory_epoch, dv = w->directory_version;
    uint64_t ce = w->catalog_epoch, cv = w->catalog_version;
    r = put(b, "one", 0, 0, false);
    ck_assert(!r->conflict && !r->entry->deleted);
    ck_assert_uint_gt(number_of(r->entry), number);
    w = watch(b, de, dv, ce, cv);
    ck_assert_uint_eq(w->n_entry, 1);
    Hawser__Internal__CatalogGetRequest g = HAWSER__INTERNAL__CATALOG_GET_REQUEST__INIT;
    g.key = (char *)"product/one";
    const Hawser__Internal__CatalogGetReply *got = ask(b, &g.base);
    ck_assert(got->found && got->entry->value.len > 0);
    g.key = (char *)"product/none";
    got = ask(b, &g.base);
    ck_assert(!got->found && !got->settled); // others may hold what this store has lost
}

// A deletion without a value is one all the same, of a product or of anything else.
static inline void check_catalog_deletes_bare(struct bed *b) {
    static char *const keys[] = {(char *)"product/one", (char *)"other/one"};
    uint32_t number = number_of(put(b, "one", 0, 0, false)->entry);
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        Hawser__Internal__CatalogGetRequest g = HAWSER__INTERNAL__CATALOG_GET_REQUEST__INIT;
        Hawser__Internal__CatalogPutRequest q = HAWSER__INTERNAL__CATALOG_PUT_REQUEST__INIT;
        g.key = q.key = keys[i];
        const Hawser__Internal__CatalogGetReply *got = ask(b, &g.base);
        q.expect = got->found ? got->entry->version : 0;
        q.deleted = true;
        const Hawser__Internal__CatalogPutReply *r = ask(b, &q.base);
        ck_assert(!r->conflict && r->entry->deleted);
        got = ask(b, &g.base);
        ck_assert(got->found && got->entry->deleted);
    }
    ck_assert_uint_gt(number_of(put(b, "one", 0, 0, false)->entry), number);
}

// A catalog of many entries comes in parts, and none is left out.
static inline void check_catalog_in_parts(struct bed *b) {
    enum { ENTRIES = 40 };
    Hawser__Internal__CatalogPutRequest q = HAWSER__INTERNAL__CATALOG_PUT_REQUEST__INIT;
    static uint8_t value[32 * 1024];
    char key[32];
    q.key = key;
    q.value = (ProtobufCBinaryData){sizeof(value), value};
    for (int i = 0; i < ENTRIES; i++) {
        snprintf(key, sizeof(key), "other/%d", i);
        ask(b, &q.base);
    }
    uint64_t epoch = 0, version = 0;
    size_t seen = 0;
    bool more = true;
    for (int i = 0; i < ENTRIES && more; i++) {
        const Hawser__Internal__WatchReply *w = watch(b, 0, 0, epoch, version);
        epoch = w->catalog_epoch;
        version = w->catalog_version;
        seen += w->n_entry;
        more = w->more;
    }
    ck_assert_uint_eq(seen, ENTRIES);
}

#endif
