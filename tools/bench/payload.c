#include "payload.h"

#include <string.h>

#include "bytes.h"
#include "wire.h"

// "hwb:" and 16 hex digits, then filling.
enum { MARK = 4, DIGITS = 16, STAMP = MARK + DIGITS };
static const char mark[] = "hwb:";

static void stamp_put(char *out, uint64_t due_us) {
    static const char digits[] = "0123456789abcdef";
    for (int i = 0; i < DIGITS; i++)
        out[i] = digits[due_us >> (60 - 4 * i) & 15];
}

void payload_put(char *out, size_t len, uint64_t due_us) {
    memcpy(out, mark, MARK);
    stamp_put(out + MARK, due_us);
    memset(out + STAMP, 'x', len - STAMP);
}

bool payload_due(const uint8_t *payload, size_t len, uint64_t *ret_due_us) {
    uint64_t due_us = 0;
    if (len < STAMP || memcmp(payload, mark, MARK) != 0)
        return false;
    for (int i = MARK; i < STAMP; i++) {
        int digit = hex_digit((char)payload[i]);
        if (digit < 0)
            return false;
        due_us = due_us << 4 | (uint64_t)digit;
    }
    *ret_due_us = due_us;
    return true;
}

bool payload_restamp(uint8_t *data, size_t len, uint64_t due_us) {
    uint8_t *at = memmem(data, len, mark, MARK);
    if (!at || (size_t)(data + len - at) < STAMP)
        return false;
    stamp_put((char *)at + MARK, due_us);
    return true;
}

// --- PUSH

enum { FIELD_PRODUCT = 1, FIELD_STREAM = 2, FIELD_SEQ = 3, FIELD_PAYLOAD = 5 };

static void see_number(struct push_seen *p, uint64_t field, uint64_t value) {
    if (field == FIELD_PRODUCT)
        p->product = value;
    else if (field == FIELD_STREAM)
        p->stream = value;
    else if (field == FIELD_SEQ)
        p->seq = value;
}

static void see_field(struct wire_reader *w, struct push_seen *p) {
    uint64_t tag = wire_varint(w);
    const uint8_t *data;
    if ((tag & 7) == WIRE_VARINT) {
        see_number(p, tag >> 3, wire_varint(w));
        return;
    }
    size_t len = wire_field(w, tag, &data);
    if (data && tag >> 3 == FIELD_PAYLOAD) {
        p->payload = data;
        p->payload_len = len;
    }
}

bool push_see(const uint8_t *body, size_t len, struct push_seen *ret_push) {
    struct wire_reader w = {.at = body, .end = body + len};
    struct push_seen p = {0};
    while (w.at < w.end && !w.bad)
        see_field(&w, &p);
    if (!w.bad)
        *ret_push = p;
    return !w.bad;
}
