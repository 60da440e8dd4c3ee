// The catalog in two stores: a private Redis and rows in a private MariaDB. What was answered is in
// both, what was refused is in neither, and whichever loses something has it again.
#include "mariadb_server.h"

#include "contract_directory.h"

#include "catalog_pair.h"
#include "maria_catalog.h"
#include "store_pair.h"

// --- the front: Redis, which may lose what is put into it

struct front {
    struct store store; // first
    struct store *redis;
    bool loses; // fills get no answer, and are not done
};
static struct front *front;

static void begin_front(struct store_step *p, const ProtobufCMessage *request) {
    bool is_fill = request->descriptor == &hawser__internal__catalog_fill_request__descriptor;
    if (is_fill && front->loses)
        store_step_complete(p, -HW_EOUTCOME, NULL);
    else
        store_step_pass(p, front->redis, request);
}

static struct store *front_part(struct store *s) {
    return ((struct front *)s)->redis;
}

static void front_stop(struct store *s) {
    store_free(((struct front *)s)->redis);
}

// --- the bed

static void pair_over(struct bed *b, struct store *redis) {
    static const struct store_kind kind = {
        .other = begin_front, .down_part = front_part, .stop = front_stop};
    front = hw_calloc(1, sizeof(*front));
    store_init(&front->store, &kind, b->loop);
    front->redis = redis;
    b->store = register_catalog_pair(&front->store,
                                     register_maria_catalog(&(struct maria_options){
                                         .url = maria_url, .timeout_ms = 20000, .loop = b->loop}));
}

static void until_whole(struct bed *b) {
    while (store_down_reason(b->store))
        loop_step(b->loop, -1);
}

static const char *lack(struct bed *b) {
    static char text[400];
    return register_catalog_lacks(b->store, text, sizeof(text)) ? text : NULL;
}

static void until_lack(struct bed *b, const char *part) {
    while (!lack(b) || !strstr(lack(b), part))
        loop_step(b->loop, -1);
}

static const struct catalog_counts *counts(const struct bed *b) {
    return register_catalog_counts(b->store);
}

// Both are compared: what is counted is as of the last second.
static struct bed *pair_bed(void) {
    maria_start(NULL);
    maria_sql("SELECT 1");
    struct bed *b = bed_new(true);
    pair_over(b, b->store);
    until_whole(b);
    return b;
}

static void pair_end(struct bed *b) {
    bed_free(b);
    maria_stop();
}

// Another register comes to the two stores.
static void pair_reopen(struct bed *b) {
    char url[96];
    store_free(b->store);
    loop_step(b->loop, 0);
    snprintf(url, sizeof(url), "unix://%s/s", b->dir);
    pair_over(b, register_store_redis(
                     &(struct redis_options){.url = url, .timeout_ms = 20000, .loop = b->loop}));
}

static void redis_words(struct bed *b, const char *words) {
    char line[300];
    snprintf(line, sizeof(line), "redis-cli -s %s/s %s >/dev/null", b->dir, words);
    ck_assert_int_eq(system(line), 0);
}

// The error, or 0; the reply lives until the next step.
static int try_ask(struct bed *b, const ProtobufCMessage *request) {
    b->done = false;
    store_call(b->store, request, on_done, b);
    while (!b->done)
        loop_step(b->loop, -1);
    return b->error;
}

static uint8_t value_bytes[128];
static Hawser__Internal__CatalogPutRequest put_request(const char *key, uint32_t number,
                                                       uint64_t expect, bool deleted) {
    Hawser__Internal__CatalogPutRequest q = HAWSER__INTERNAL__CATALOG_PUT_REQUEST__INIT;
    Hawser__Internal__Product p = HAWSER__INTERNAL__PRODUCT__INIT;
    p.name = (char *)(uintptr_t)key + strlen("product/");
    p.number = number;
    q.key = (char *)(uintptr_t)key;
    q.value = (ProtobufCBinaryData){hawser__internal__product__pack(&p, value_bytes), value_bytes};
    q.expect = expect;
    q.deleted = deleted;
    return q;
}

static int try_put(struct bed *b, const char *key, uint32_t number, uint64_t expect) {
    Hawser__Internal__CatalogPutRequest q = put_request(key, number, expect, false);
    return try_ask(b, &q.base);
}

static int try_delete(struct bed *b, const char *key, uint32_t number, uint64_t expect) {
    Hawser__Internal__CatalogPutRequest q = put_request(key, number, expect, true);
    return try_ask(b, &q.base);
}

static const Hawser__Internal__CatalogPutReply *put_answer(const struct bed *b) {
    return (const Hawser__Internal__CatalogPutReply *)b->reply;
}

// "key version [deleted]", of all that the front shows, as rows are sorted.
static int by_text(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}
static const char *shown(struct bed *b) {
    static char text[2000];
    static char lines[20][100];
    char *sorted[20];
    const Hawser__Internal__WatchReply *w = watch(b, 0, 0, 0, 0);
    ck_assert_uint_lt(w->n_entry, 20);
    for (size_t i = 0; i < w->n_entry; i++) {
        snprintf(lines[i], sizeof(lines[i]), "%s %d%s", w->entry[i]->key, (int)w->entry[i]->version,
                 w->entry[i]->deleted ? " deleted" : "");
        sorted[i] = lines[i];
    }
    if (w->n_entry > 0)
        qsort(sorted, w->n_entry, sizeof(sorted[0]), by_text);
    text[0] = '\0';
    for (size_t i = 0; i < w->n_entry; i++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s", i > 0 ? " " : "",
                 sorted[i]);
    return text;
}

static const char *rows(void) {
    return maria_table("SELECT CONCAT(name, ' ', version, IF(deleted, ' deleted', '')) FROM "
                       "hawser_catalog ORDER BY name");
}

// Some history: one that is there, one that is not any more, and one that was made again.
static void make_some(struct bed *b) {
    uint64_t v = put(b, "one", 0, 0, false)->entry->version;
    put(b, "one", number_of(put_answer(b)->entry), v, false);
    v = put(b, "two", 0, 0, false)->entry->version;
    put(b, "two", number_of(put_answer(b)->entry), v, true);
    v = put(b, "x", 0, 0, false)->entry->version;
    uint32_t number = number_of(put_answer(b)->entry);
    put(b, "x", number, v, true);
    put(b, "x", 0, 0, false);
    ck_assert_uint_gt(number_of(put_answer(b)->entry), number);
}
#define SOME "product/one 2 product/two 2 deleted product/x 3"

// --- what is true of each store of a register

START_TEST(test_contract) {
    static void (*const checks[])(struct bed * b) = {check_catalog, check_catalog_deletes_bare,
                                                     check_catalog_in_parts};
    for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
        struct bed *b = pair_bed();
        checks[i](b);
        pair_end(b);
    }
}
END_TEST

// What was answered is a row, under the version that was answered.
START_TEST(test_committed) {
    struct bed *b = pair_bed();
    make_some(b);
    ck_assert_str_eq(rows(), SOME);
    ck_assert_str_eq(shown(b), SOME);
    ck_assert(put(b, "one", 1, 1, false)->conflict);
    ck_assert_str_eq(rows(), SOME);
    pair_end(b);
}
END_TEST

// --- the database is away

START_TEST(test_away) {
    struct bed *b = pair_bed();
    make_some(b);
    maria_kill();
    until_lack(b, "changes of products and keys are refused: mariadb: ");
    ck_assert_int_eq(try_put(b, "product/new", 0, 0), -HW_ECLASS);
    ck_assert_int_eq(try_delete(b, "product/one", 1, 2), -HW_ECLASS);
    ck_assert_str_eq(shown(b), SOME);
    ck_assert_ptr_null(store_down_reason(b->store));
    rooms_live(b);
    ck_assert_uint_ne(ROW(b, .incarnation = 11)->generation, 0);
    maria_run(NULL);
    while (lack(b))
        loop_step(b->loop, -1);
    ck_assert_int_eq(try_put(b, "product/new", 0, 0), 0);
    ck_assert_str_eq(rows(), "product/new 1 " SOME);
    pair_end(b);
}
END_TEST

// It is there and takes nothing: nothing is changed, and who asks learns why.
START_TEST(test_refused) {
    struct bed *b = pair_bed();
    make_some(b);
    maria_sql("CREATE TRIGGER full_disk BEFORE INSERT ON hawser_catalog FOR EACH ROW "
              "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'The table is full'");
    ck_assert_int_eq(try_put(b, "product/new", 0, 0), -HW_ECLASS);
    ck_assert_ptr_nonnull(strstr(lack(b), "The table is full"));
    ck_assert_str_eq(shown(b), SOME);
    maria_sql("DROP TRIGGER full_disk");
    ck_assert_int_eq(try_put(b, "product/new", 0, 0), 0);
    ck_assert_ptr_null(lack(b));
    pair_end(b);
}
END_TEST

// --- cut between the steps

// Committed, and not in the front: whoever asks the same again is told that it is done, and who
// asks for something else that it was changed meanwhile. A pass that was faster has done the same.
START_TEST(test_cut) {
    for (int same = 0; same < 2; same++) {
        struct bed *b = pair_bed();
        uint32_t number = number_of(put(b, "one", 0, 0, false)->entry);
        front->loses = true;
        ck_assert_int_eq(try_delete(b, "product/one", number, 1), -HW_EOUTCOME);
        ck_assert_str_eq(rows(), "product/one 2 deleted");
        ck_assert_str_eq(shown(b), "product/one 1");
        front->loses = false;
        int rc =
            same ? try_delete(b, "product/one", number, 1) : try_put(b, "product/one", number, 1);
        ck_assert_int_eq(rc, 0);
        ck_assert(put_answer(b)->conflict == !same || counts(b)->filled > 0);
        ck_assert(put_answer(b)->entry->deleted);
        ck_assert_uint_eq(put_answer(b)->entry->version, 2);
        ck_assert_str_eq(shown(b), "product/one 2 deleted");
        ck_assert_str_eq(rows(), "product/one 2 deleted");
        pair_end(b);
    }
}
END_TEST

// Nobody asks again: the next pass settles it, of this register or of one that starts.
START_TEST(test_cut_and_left) {
    struct bed *b = pair_bed();
    uint32_t number = number_of(put(b, "one", 0, 0, false)->entry);
    front->loses = true;
    ck_assert_int_eq(try_delete(b, "product/one", number, 1), -HW_EOUTCOME);
    front->loses = false;
    while (strcmp(shown(b), "product/one 2 deleted") != 0)
        loop_step(b->loop, -1);
    front->loses = true;
    ck_assert_int_eq(try_put(b, "product/two", 0, 0), -HW_EOUTCOME);
    pair_reopen(b);
    until_whole(b);
    while (strcmp(shown(b), "product/one 2 deleted product/two 1") != 0)
        loop_step(b->loop, -1);
    pair_end(b);
}
END_TEST

// --- two registers

struct racer {
    int error;
    bool done, conflict, deleted;
    uint64_t version;
};

static void on_raced(void *arg, int error, const ProtobufCMessage *message) {
    const Hawser__Internal__CatalogPutReply *reply =
        (const Hawser__Internal__CatalogPutReply *)message;
    struct racer *r = arg;
    *r = (struct racer){.error = error, .done = true};
    if (reply) {
        r->conflict = reply->conflict;
        r->version = reply->entry->version;
        r->deleted = reply->entry->deleted;
    }
}

// Both find the version that they expect, and ask for different things. One has it, and the other
// is told of that one.
START_TEST(test_two_at_once) {
    struct bed *b = pair_bed();
    char url[96];
    struct bed other = *b;
    snprintf(url, sizeof(url), "unix://%s/s", b->dir);
    pair_over(&other, register_store_redis(&(struct redis_options){
                          .url = url, .timeout_ms = 20000, .loop = b->loop}));
    until_whole(&other);
    uint32_t number = number_of(put(b, "one", 0, 0, false)->entry);
    for (uint64_t version = 1; version < 41; version += 2) {
        struct racer racers[2] = {{0}};
        Hawser__Internal__CatalogPutRequest q =
            put_request("product/one", number, version, version % 4 == 1);
        store_call(b->store, &q.base, on_raced, &racers[0]);
        q.deleted = !q.deleted;
        store_call(other.store, &q.base, on_raced, &racers[1]);
        while (!racers[0].done || !racers[1].done)
            loop_step(b->loop, -1);
        ck_assert(racers[0].error == 0 && racers[1].error == 0);
        ck_assert_int_eq(racers[0].conflict + racers[1].conflict, 1);
        ck_assert(racers[0].version == version + 1 && racers[1].version == version + 1);
        ck_assert(racers[0].deleted == racers[1].deleted);
        ck_assert_int_eq(try_put(b, "product/one", number, racers[0].deleted ? 0 : version + 1), 0);
        ck_assert(!put_answer(b)->conflict && put_answer(b)->entry->version == version + 2);
    }
    ck_assert_str_eq(rows(), "product/one 41");
    ck_assert_str_eq(shown(b), "product/one 41");
    store_free(other.store);
    pair_end(b);
}
END_TEST

// --- a store that lost something

static void empty_redis(struct bed *b) {
    redis_words(b, "FLUSHALL");
    Hawser__Internal__CatalogGetRequest q = HAWSER__INTERNAL__CATALOG_GET_REQUEST__INIT;
    q.key = (char[]){"product/one"};
    while (try_ask(b, &q.base) != 0) // never: it is not there
        ck_assert(b->error == -HW_ELOADING || b->error == -HW_ESTORE || b->error == -HW_EOUTCOME);
    ck_assert(((const Hawser__Internal__CatalogGetReply *)b->reply)->found);
    until_whole(b);
}

START_TEST(test_redis_is_emptied) {
    struct bed *b = pair_bed();
    redis_words(b, "HSET 'hw:{dir}:h' n 1000000000");
    make_some(b);
    uint32_t number = number_of(put(b, "last", 0, 0, false)->entry);
    ck_assert_uint_gt(number, 1000000000);
    put(b, "last", number, 1, true);
    empty_redis(b);
    ck_assert_str_eq(shown(b), "product/last 2 deleted " SOME);
    ck_assert_uint_gt(number_of(put(b, "next", 0, 0, false)->entry), number);
    ck_assert_uint_eq(put(b, "last", 0, 0, false)->entry->version, 3);
    pair_end(b);
}
END_TEST

// The front has gone back, or its registers had no database for a while: the later one wins.
START_TEST(test_later_one_wins) {
    struct bed *b = pair_bed();
    make_some(b);
    maria_sql("UPDATE hawser_catalog SET version = 9, deleted = 1, changed_ms = 0 WHERE name = "
              "'product/one'; UPDATE hawser_catalog SET version = 1, changed_ms = 0 WHERE name = "
              "'product/x'; DELETE FROM hawser_catalog WHERE name = 'product/two'");
    pair_reopen(b);
    until_whole(b);
    while (strcmp(rows(), "product/one 9 deleted product/two 2 deleted product/x 3") != 0)
        loop_step(b->loop, -1);
    ck_assert_str_eq(shown(b), rows());
    pair_end(b);
}
END_TEST

// A row that a put finds older than the front's is no conflict.
START_TEST(test_row_has_gone_back) {
    struct bed *b = pair_bed();
    make_some(b);
    maria_sql("UPDATE hawser_catalog SET version = 1, changed_ms = 0; "
              "DELETE FROM hawser_catalog WHERE name = 'product/x'");
    ck_assert_int_eq(try_delete(b, "product/one", 1, 2), 0);
    ck_assert(!put_answer(b)->conflict);
    ck_assert_int_eq(try_delete(b, "product/x", 1, 3), 0);
    ck_assert(!put_answer(b)->conflict);
    ck_assert_str_eq(shown(b), "product/one 3 deleted product/two 2 deleted product/x 4 deleted");
    pair_end(b);
}
END_TEST

// Registers that get a database have all they had in it. Their versions go on.
START_TEST(test_database_comes_later) {
    maria_start(NULL);
    struct bed *b = bed_new(true);
    uint64_t v = put(b, "one", 0, 0, false)->entry->version;
    v = put(b, "two", 0, 0, false)->entry->version;
    ck_assert_uint_eq(v, 2);
    pair_over(b, b->store);
    until_whole(b);
    while (strcmp(rows(), "product/one 1 product/two 2") != 0)
        loop_step(b->loop, -1);
    ck_assert_uint_eq(put(b, "two", 1, 2, false)->entry->version, 3);
    pair_end(b);
}
END_TEST

// --- nobody is told of a catalog that may lack something

START_TEST(test_not_filled_yet) {
    struct bed *b = pair_bed();
    make_some(b);
    maria_kill();
    redis_words(b, "FLUSHALL");
    pair_reopen(b);
    while (!store_down_reason(b->store) ||
           !strstr(store_down_reason(b->store), "not filled from mariadb yet: mariadb: "))
        loop_step(b->loop, -1);
    rooms_live(b);
    ck_assert_uint_ne(ROW(b, .incarnation = 11)->generation, 0);
    const Hawser__Internal__WatchReply *w = watch(b, 0, 0, 77, 5);
    ck_assert_uint_eq(w->n_member, 2);
    ck_assert(w->catalog_epoch == 77 && w->catalog_version == 5 && !w->catalog_whole);
    ck_assert_uint_eq(watch(b, 0, 0, 0, 0)->catalog_epoch, 0);
    Hawser__Internal__CatalogGetRequest q = HAWSER__INTERNAL__CATALOG_GET_REQUEST__INIT;
    q.key = (char[]){"product/one"};
    ck_assert_int_eq(try_ask(b, &q.base), -HW_ELOADING);
    ck_assert_int_eq(try_put(b, "product/new", 0, 0), -HW_ELOADING);
    ck_assert(store_is_coming(b->store));
    maria_run(NULL);
    until_whole(b);
    ck_assert_str_eq(shown(b), SOME);
    pair_end(b);
}
END_TEST

// --- strange rows

START_TEST(test_bad_rows) {
    struct bed *b = pair_bed();
    make_some(b);
    maria_sql("INSERT INTO hawser_catalog SELECT 'product/bad', 1, 0, 7, 'no product', 0, 0; "
              "INSERT INTO hawser_catalog SELECT 'product/other', 1, 0, 7, value, 0, 0 FROM "
              "hawser_catalog WHERE name = 'product/one'; "
              "INSERT INTO hawser_catalog SELECT 'none', 0, 0, 0, 'x', 0, 0; "
              "INSERT INTO hawser_catalog SELECT '', 1, 0, 0, 'x', 0, 0; "
              "INSERT INTO hawser_catalog SELECT x'6100', 1, 0, 0, 'x', 0, 0; "
              "INSERT INTO hawser_catalog SELECT 'empty', 1, 0, 0, '', 0, 0; "
              "INSERT INTO hawser_catalog SELECT 'long', 1, 0, 0, REPEAT('x', 262145), 0, 0; "
              "INSERT INTO hawser_catalog SELECT 'setting', 1, 0, 0, 'x', 0, 0");
    redis_words(b, "FLUSHALL");
    pair_reopen(b);
    until_whole(b);
    until_lack(b, "7 catalog entries are left out");
    ck_assert_str_eq(shown(b), SOME " setting 1");
    ck_assert_int_eq(try_put(b, "product/bad", 0, 0), -HW_ECLASS);
    maria_sql("DELETE FROM hawser_catalog WHERE name NOT LIKE 'product/%' AND name != 'setting'; "
              "DELETE FROM hawser_catalog WHERE name IN ('product/bad', 'product/other')");
    ck_assert_int_eq(try_put(b, "product/bad", 0, 0), 0);
    pair_reopen(b);
    until_whole(b);
    while (lack(b))
        loop_step(b->loop, -1);
    pair_end(b);
}
END_TEST

// What is too large for a row stays in the front, and is named.
START_TEST(test_too_large) {
    maria_start(NULL);
    struct bed *b = bed_new(true);
    static uint8_t value[CATALOG_VALUE_MAX + 1];
    Hawser__Internal__CatalogPutRequest q = HAWSER__INTERNAL__CATALOG_PUT_REQUEST__INIT;
    q.key = (char[]){"large"};
    q.value = (ProtobufCBinaryData){sizeof(value), value};
    ask(b, &q.base);
    put(b, "one", 0, 0, false);
    pair_over(b, b->store);
    until_whole(b);
    until_lack(b, "1 catalog entries are left out, one of them \"large\"");
    ck_assert_str_eq(rows(), "product/one 2");
    q.key = (char[]){"larger"};
    ck_assert_int_eq(try_ask(b, &q.base), -HW_ECLASS);
    pair_end(b);
}
END_TEST

START_TEST(test_newer_tables) {
    struct bed *b = pair_bed();
    make_some(b);
    maria_sql("INSERT INTO hawser_schema (version, only_adds) VALUES (1000, 0)");
    pair_reopen(b);
    until_lack(b, "start a newer one");
    until_whole(b); // it was filled before
    ck_assert_int_eq(try_put(b, "product/new", 0, 0), -HW_ECLASS);
    ck_assert_str_eq(shown(b), SOME);
    pair_end(b);
}
END_TEST

RUN_TESTS_ON_MARIADB("catalog pair", test_contract, test_committed, test_away, test_refused,
                     test_cut, test_cut_and_left, test_two_at_once, test_redis_is_emptied,
                     test_later_one_wins, test_row_has_gone_back, test_database_comes_later,
                     test_not_filled_yet, test_bad_rows, test_too_large, test_newer_tables)
