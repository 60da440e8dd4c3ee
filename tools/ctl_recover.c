#include "ctl_recover.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "buf.h"
#include "config.h"
#include "log.h"
#include "loop.h"
#include "maria_catalog.h"
#include "redis_conn.h"
#include "register_store.h"
#include "store_open.h"
#include "table.h"

enum { WAIT_MS = 10000, READINGS = 3, DIFFERS = 1, CANNOT_TELL = 2 };
enum side { IN_REDIS, IN_MARIADB, SIDES };
static const char *const side_names[SIDES] = {"redis", "mariadb"};

struct compared {
    UT_hash_handle hh;
    struct {
        uint64_t version; // 0: it is not there
        bool deleted, is_unreadable;
        struct buf value;
    } in[SIDES];
    char key[];
};

struct comparison {
    struct config *config; // owned, as all below
    struct os *os;
    struct loop *loop;
    struct store *store[SIDES];
    struct compared *entries;
    uint64_t epoch, seen; // up to where Redis was read
    bool is_over;
    int error;
};

// --- read

static struct compared *compared_of(struct comparison *c, const char *key) {
    struct compared *e = NULL;
    HASH_FIND_STR(c->entries, key, e);
    if (!e) {
        size_t len = strlen(key);
        e = hw_calloc(1, sizeof(*e) + len + 1);
        memcpy(e->key, key, len + 1);
        HASH_ADD_STR(c->entries, key, e);
    }
    return e;
}

static void compared_free(struct comparison *c) {
    struct compared *e, *next;
    HASH_ITER(hh, c->entries, e, next) {
        HASH_DEL(c->entries, e);
        for (int side = 0; side < SIDES; side++)
            buf_free(&e->in[side].value);
        free(e);
    }
}

static void take_side(struct comparison *c, enum side side,
                      const Hawser__Internal__CatalogEntry *from) {
    struct compared *e = compared_of(c, from->key);
    e->in[side].version = from->version;
    e->in[side].deleted = from->deleted;
    buf_reset(&e->in[side].value);
    buf_append(&e->in[side].value, from->value.data, from->value.len);
}

static void read_ends(struct comparison *c, int error) {
    c->is_over = true;
    c->error = error;
}

static void read_mariadb(struct comparison *c, const ProtobufCBinaryData *after);

static void on_mariadb_read(void *arg, int error, const ProtobufCMessage *message) {
    const Hawser__Internal__CatalogPageReply *reply =
        (const Hawser__Internal__CatalogPageReply *)message;
    struct comparison *c = arg;
    for (size_t i = 0; error == 0 && i < reply->n_entry; i++)
        take_side(c, IN_MARIADB, reply->entry[i]);
    for (size_t i = 0; error == 0 && i < reply->n_unreadable; i++)
        compared_of(c, reply->unreadable[i])->in[IN_MARIADB].is_unreadable = true;
    if (error == 0 && reply->more)
        read_mariadb(c, &reply->last);
    else
        read_ends(c, error);
}

static void read_mariadb(struct comparison *c, const ProtobufCBinaryData *after) {
    Hawser__Internal__CatalogPageRequest q = HAWSER__INTERNAL__CATALOG_PAGE_REQUEST__INIT;
    if (after)
        q.after = *after;
    store_call(c->store[IN_MARIADB], &q.base, on_mariadb_read, c);
}

static void read_redis(struct comparison *c);

static void on_redis_read(void *arg, int error, const ProtobufCMessage *message) {
    const Hawser__Internal__WatchReply *reply = (const Hawser__Internal__WatchReply *)message;
    struct comparison *c = arg;
    if (error != 0) {
        read_ends(c, error);
        return;
    }
    for (size_t i = 0; i < reply->n_entry; i++)
        take_side(c, IN_REDIS, reply->entry[i]);
    c->epoch = reply->catalog_epoch;
    c->seen = reply->catalog_version;
    if (reply->more)
        read_redis(c);
    else
        read_mariadb(c, NULL);
}

static void read_redis(struct comparison *c) {
    Hawser__Internal__WatchRequest q = HAWSER__INTERNAL__WATCH_REQUEST__INIT;
    q.catalog_epoch = c->epoch;
    q.catalog_version = c->seen;
    store_call(c->store[IN_REDIS], &q.base, on_redis_read, c);
}

// --- compared

static bool is_same(const struct compared *e) {
    const struct buf *a = &e->in[IN_REDIS].value, *b = &e->in[IN_MARIADB].value;
    return e->in[IN_REDIS].version == e->in[IN_MARIADB].version &&
           e->in[IN_REDIS].deleted == e->in[IN_MARIADB].deleted &&
           !e->in[IN_MARIADB].is_unreadable && a->len == b->len &&
           (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}

static unsigned count_differing(const struct comparison *c) {
    unsigned count = 0;
    for (const struct compared *e = c->entries; e; e = e->hh.next)
        count += is_same(e) ? 0 : 1;
    return count;
}

static int by_key(const struct compared *a, const struct compared *b) {
    return strcmp(a->key, b->key);
}

// --- shown

static json_t *side_json(const struct compared *e, enum side side) {
    if (e->in[side].is_unreadable)
        return json_pack("{s:b}", "unreadable", 1);
    return e->in[side].version == 0
               ? json_null()
               : json_pack("{s:I, s:b}", "version", (json_int_t)e->in[side].version, "deleted",
                           e->in[side].deleted ? 1 : 0);
}

static json_t *key_json_of(const struct compared *e) {
    json_t *key = json_string(e->key); // NULL: it is no UTF-8
    return key ? key : json_string(log_quote_str(e->key));
}

static void show_json(const struct comparison *c) {
    json_t *differing = json_array();
    for (const struct compared *e = c->entries; e; e = e->hh.next)
        if (!is_same(e))
            json_array_append_new(differing,
                                  json_pack("{s:o, s:o, s:o}", "key", key_json_of(e),
                                            side_names[IN_REDIS], side_json(e, IN_REDIS),
                                            side_names[IN_MARIADB], side_json(e, IN_MARIADB)));
    json_t *all = json_pack("{s:b, s:I, s:o}", "same", json_array_size(differing) == 0, "entries",
                            (json_int_t)HASH_COUNT(c->entries), "differing", differing);
    json_dumpf(all, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(all);
}

// Printable, and without quotes where it needs none.
static const char *shown_key(const struct compared *e) {
    size_t plain =
        strspn(e->key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/_.-");
    return e->key[plain] == '\0' && plain > 0 ? e->key : log_quote_str(e->key);
}

static const char *side_text(const struct compared *e, enum side side, char *out, size_t size) {
    if (e->in[side].is_unreadable)
        snprintf(out, size, "cannot be read");
    else if (e->in[side].version == 0)
        snprintf(out, size, "-");
    else
        snprintf(out, size, "version %" PRIu64 "%s", e->in[side].version,
                 e->in[side].deleted ? ", deleted" : "");
    return out;
}

static void show_table(const struct comparison *c, unsigned differing) {
    char redis[64], mariadb[64];
    if (differing > 0)
        printf("%-42s %-28s %s\n", "ENTRY", "REDIS", "MARIADB");
    for (const struct compared *e = c->entries; e; e = e->hh.next)
        if (!is_same(e))
            printf("%-42s %-28s %s\n", shown_key(e), side_text(e, IN_REDIS, redis, sizeof(redis)),
                   side_text(e, IN_MARIADB, mariadb, sizeof(mariadb)));
    printf("%u entries, %u differ\n", HASH_COUNT(c->entries), differing);
}

// --- the two stores

static int cannot_tell(const char *why) {
    fprintf(stderr, "hawserctl: recover: %s\n", why);
    return CANNOT_TELL;
}

static int comparison_open(struct comparison *c, const char *path, struct buf *error) {
    extern char **environ;
    if (config_load(path, environ, error, &c->config) != 0)
        return cannot_tell(buf_cstr(error));
    const char *redis = config_text(c->config, "redis.url");
    const char *maria = config_text(c->config, "mariadb.url");
    if (store_url_is_memory(redis) || !*redis || !*maria)
        return cannot_tell("redis.url or mariadb.url is not given, so there is nothing to compare");
    if (redis_url_check(redis, error) != 0 || maria_url_check(maria, error) != 0)
        return cannot_tell(buf_cstr(error));
    c->os = os_new();
    c->loop = loop_new(c->os);
    c->store[IN_REDIS] = register_store_redis(
        &(struct redis_options){.url = redis,
                                .timeout_ms = (uint32_t)config_ms(c->config, "redis.timeout"),
                                .allow_volatile = true,
                                .loop = c->loop});
    c->store[IN_MARIADB] = register_maria_catalog(
        &(struct maria_options){.url = maria,
                                .timeout_ms = (uint32_t)config_ms(c->config, "mariadb.timeout"),
                                .loop = c->loop});
    return 0;
}

static void comparison_close(struct comparison *c) {
    for (int side = 0; side < SIDES; side++)
        if (c->store[side])
            store_free(c->store[side]);
    if (c->loop) {
        loop_step(c->loop, 0);
        (void)loop_free(c->loop);
        os_free(c->os);
    }
    compared_free(c);
    config_free(c->config);
}

// NULL, or why not.
static const char *why_down(struct comparison *c) {
    uint64_t end = loop_now_ms(c->loop) + WAIT_MS;
    const char *why = NULL;
    do {
        why = store_down_reason(c->store[IN_REDIS]);
        why = why ? why : store_down_reason(c->store[IN_MARIADB]);
        if (why)
            loop_step(c->loop, 100);
    } while (why && loop_now_ms(c->loop) < end);
    return why;
}

// What is changed between the two readings differs once.
static int read_both(struct comparison *c) {
    for (int i = 0; i < READINGS && (i == 0 || count_differing(c) > 0); i++) {
        compared_free(c);
        c->epoch = c->seen = 0;
        c->is_over = false;
        read_redis(c);
        while (!c->is_over)
            loop_step(c->loop, -1);
        if (c->error != 0)
            return cannot_tell(hw_strerror(c->error));
    }
    HASH_SORT(c->entries, by_key);
    return 0;
}

int recover_check(const char *config_path, bool as_json) {
    struct comparison c = {0};
    struct buf error = BUF_EMPTY;
    int code = comparison_open(&c, config_path, &error);
    const char *why = code == 0 ? why_down(&c) : NULL;
    if (why)
        code = cannot_tell(why);
    if (code == 0)
        code = read_both(&c);
    if (code == 0) {
        unsigned differing = count_differing(&c);
        if (as_json)
            show_json(&c);
        else
            show_table(&c, differing);
        code = differing > 0 ? DIFFERS : 0;
    }
    comparison_close(&c);
    buf_free(&error);
    return code;
}
