// A client of Redis pub/sub: it subscribes to one channel, and reads arrays of three bulk strings.
#include "client.h"
#include "peer.h"

// What one array of bulk strings and numbers holds: "message", the channel, the payload.
enum { ITEMS_MAX = 4 };
struct resp {
    const uint8_t *at, *end;
};
struct resp_item {
    const uint8_t *data; // NULL: a number
    size_t len;
};

// The line that begins at r->at, after its first byte; false: not whole yet.
static bool resp_line(struct resp *r, char *ret_kind, size_t *ret_number) {
    const uint8_t *line_end =
        r->at < r->end ? memmem(r->at, (size_t)(r->end - r->at), "\r\n", 2) : NULL;
    if (!line_end)
        return false;
    *ret_kind = (char)r->at[0];
    *ret_number = strtoul((const char *)r->at + 1, NULL, 10);
    r->at = line_end + 2;
    return true;
}

static bool resp_item(struct resp *r, struct resp_item *ret) {
    char kind;
    size_t number;
    *ret = (struct resp_item){0};
    if (!resp_line(r, &kind, &number))
        return false;
    if (kind != '$')
        return true;
    if ((size_t)(r->end - r->at) < number + 2)
        return false;
    *ret = (struct resp_item){r->at, number};
    r->at += number + 2;
    return true;
}

// False: not whole yet.
static bool resp_array(struct resp *r, struct resp_item items[ITEMS_MAX], size_t *ret_count) {
    char kind;
    if (!resp_line(r, &kind, ret_count))
        return false;
    if (kind != '*' || *ret_count > ITEMS_MAX)
        *ret_count = 0; // an error, or a state: nothing that is waited for
    for (size_t i = 0; i < *ret_count; i++)
        if (!resp_item(r, &items[i]))
            return false;
    return true;
}

static bool item_is(const struct resp_item *item, const char *word) {
    return item->data && item->len == strlen(word) && memcmp(item->data, word, item->len) == 0;
}

static void redis_got(struct client *c, const struct resp_item *items, size_t count) {
    if (count == 3 && item_is(&items[0], "message")) {
        client_got(c, LANE_NEWS, items[2].data, items[2].len);
    } else if (count == 3 && item_is(&items[0], "subscribe")) {
        client_is_open(c);
        client_is_synced(c);
    } else if (count == 2 && item_is(&items[0], "pong")) {
        client_got_pong(c);
    }
}

static size_t redis_on_data(struct client *c, const uint8_t *data, size_t len) {
    struct resp r = {data, data + len};
    const uint8_t *done = data;
    struct resp_item items[ITEMS_MAX];
    size_t count;
    while (resp_array(&r, items, &count)) {
        redis_got(c, items, count);
        done = r.at;
    }
    return (size_t)(done - data);
}

static void redis_greet(struct client *c) {
    static const char words[] = "SUBSCRIBE " PEER_CHANNEL "\r\n";
    client_send(c, words, sizeof(words) - 1);
}

static void redis_ping(struct client *c) {
    client_send(c, "PING\r\n", 6);
}

const struct dialect dialect_redis = {
    .name = "redis", .greet = redis_greet, .on_data = redis_on_data, .ping = redis_ping};
