// A client of NATS: lines of text, of which MSG has a payload behind it. A ping's answer at the
// begin says that the server has read what stood before it.
#include "client.h"
#include "peer.h"

// How many bytes of payload follow a line "MSG channel number length".
static size_t payload_len_of(const uint8_t *line, const uint8_t *end) {
    const uint8_t *at = memrchr(line, ' ', (size_t)(end - line));
    return at ? strtoul((const char *)at + 1, NULL, 10) : 0;
}

static void nats_got_line(struct client *c, const uint8_t *line) {
    if (memcmp(line, "PING", 4) == 0) {
        client_send(c, "PONG\r\n", 6);
    } else if (memcmp(line, "PONG", 4) == 0 && c->state == CLIENT_OPEN) {
        client_got_pong(c);
    } else if (memcmp(line, "PONG", 4) == 0) {
        client_is_open(c);
        client_is_synced(c);
    }
}

// One line, and its payload; 0: not whole yet.
static size_t nats_take(struct client *c, const uint8_t *data, size_t len) {
    const uint8_t *end = memmem(data, len, "\r\n", 2);
    if (!end)
        return 0;
    size_t line_len = (size_t)(end - data) + 2;
    if (line_len < 6 || memcmp(data, "MSG ", 4) != 0) {
        if (line_len >= 6)
            nats_got_line(c, data);
        return line_len;
    }
    size_t payload_len = payload_len_of(data, end);
    if (len - line_len < payload_len + 2)
        return 0;
    client_got(c, LANE_NEWS, end + 2, payload_len);
    return line_len + payload_len + 2;
}

static size_t nats_on_data(struct client *c, const uint8_t *data, size_t len) {
    size_t used = 0, taken;
    while (used < len && (taken = nats_take(c, data + used, len - used)) > 0)
        used += taken;
    return used;
}

static void nats_greet(struct client *c) {
    static const char words[] = PEER_NATS_CONNECT "SUB " PEER_CHANNEL " 1\r\nPING\r\n";
    client_send(c, words, sizeof(words) - 1);
}

static void nats_ping(struct client *c) {
    client_send(c, "PING\r\n", 6);
}

const struct dialect dialect_nats = {
    .name = "nats", .greet = nats_greet, .on_data = nats_on_data, .ping = nats_ping};
