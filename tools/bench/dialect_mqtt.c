// A client of MQTT 3.1.1: a clean session, one channel, QoS 0.
#include "bytes.h"
#include "client.h"
#include "peer.h"

enum {
    MQTT_CONNACK = 2,
    MQTT_PUBLISH = 3,
    MQTT_SUBACK = 9,
    MQTT_PINGRESP = 13,
    MQTT_LENGTH_BYTES = 4,
};

struct mqtt_packet {
    uint8_t kind;
    const uint8_t *body;
    size_t len;
};

// How many bytes it takes; 0: not whole yet.
static size_t mqtt_parse(const uint8_t *data, size_t len, struct mqtt_packet *ret) {
    size_t body_len = 0, at = 1;
    for (int shift = 0; at <= MQTT_LENGTH_BYTES; shift += 7) {
        if (at >= len)
            return 0;
        uint8_t byte = data[at++];
        body_len |= (size_t)(byte & 127) << shift;
        if (byte < 128)
            break;
    }
    if (len - at < body_len)
        return 0;
    *ret = (struct mqtt_packet){(uint8_t)(data[0] >> 4), data + at, body_len};
    return at + body_len;
}

static void mqtt_subscribe(struct client *c) {
    static const char packet[] = "\x82\x08\x00\x01\x00\x03" PEER_CHANNEL "\x00";
    client_send(c, packet, sizeof(packet) - 1);
}

static void mqtt_got(struct client *c, const struct mqtt_packet *p) {
    if (p->kind == MQTT_PUBLISH && p->len >= 2) {
        size_t name_len = 2 + (size_t)be16_get(p->body);
        if (name_len <= p->len)
            client_got(c, LANE_NEWS, p->body + name_len, p->len - name_len);
    } else if (p->kind == MQTT_CONNACK) {
        mqtt_subscribe(c);
    } else if (p->kind == MQTT_SUBACK) {
        client_is_open(c);
        client_is_synced(c);
    } else if (p->kind == MQTT_PINGRESP) {
        client_got_pong(c);
    }
}

static size_t mqtt_on_data(struct client *c, const uint8_t *data, size_t len) {
    struct mqtt_packet p;
    size_t used = 0, taken;
    while ((taken = mqtt_parse(data + used, len - used, &p)) > 0) {
        used += taken;
        mqtt_got(c, &p);
    }
    return used;
}

// Clean session, no keep-alive; the last 8 bytes of the packet are the client's name.
static void mqtt_greet(struct client *c) {
    char packet[32], name[16];
    static const char head[] = "\x10\x14\x00\x04MQTT\x04\x02\x00\x00\x00\x08";
    snprintf(name, sizeof(name), "b%07u", c->number);
    memcpy(packet, head, sizeof(head) - 1);
    memcpy(packet + sizeof(head) - 1, name, 8);
    client_send(c, packet, sizeof(head) - 1 + 8);
}

static void mqtt_ping(struct client *c) {
    client_send(c, "\xc0\x00", 2);
}

const struct dialect dialect_mqtt = {
    .name = "mosquitto", .greet = mqtt_greet, .on_data = mqtt_on_data, .ping = mqtt_ping};
