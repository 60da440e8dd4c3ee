// What the SDK's tests share: tokens, and the frames of a room's side.
#ifndef HW_FAKE_ROOM_H
#define HW_FAKE_ROOM_H

#include "buf.h"
#include "frame.h"

enum { EPOCH = 77 };

// A token as a room's keys would not accept it, but whose claims can be read. Static memory of 8
// turns.
static inline const char *token_for(const char *product, const char *user) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    static char tokens[8][256];
    static unsigned turn;
    char json[128], *out = tokens[turn++ % 8];
    size_t len =
        (size_t)snprintf(json, sizeof(json), "{\"aud\":\"%s\",\"sub\":\"%s\"}", product, user);
    size_t at = (size_t)snprintf(out, 8, "e30.");
    uint32_t bits = 0;
    int have = 0;
    for (size_t i = 0; i < len; i++) {
        bits = bits << 8 | (uint8_t)json[i];
        for (have += 8; have >= 6; have -= 6)
            out[at++] = digits[bits >> (have - 6) & 63];
    }
    if (have > 0)
        out[at++] = digits[bits << (6 - have) & 63];
    snprintf(out + at, 8, ".%u", turn);
    return out;
}

static inline Hawser__V1__Position position_of(Hawser__V1__Stream stream, uint64_t epoch,
                                               uint64_t seq) {
    Hawser__V1__Position p = HAWSER__V1__POSITION__INIT;
    p.stream = stream;
    p.epoch = epoch;
    p.seq = seq;
    return p;
}

// A Bound as Welcome or alone: all three streams after seq in EPOCH.
struct bound_frame {
    Hawser__V1__Position positions[3], *after[3];
    Hawser__V1__Bound m;
};

static inline void bound_fill(struct bound_frame *b, uint32_t number, const char *product,
                              const char *user, uint64_t generation, uint64_t seq) {
    b->m = (Hawser__V1__Bound)HAWSER__V1__BOUND__INIT;
    b->m.product = number;
    b->m.name = (char *)(uintptr_t)product;
    b->m.user = (char *)(uintptr_t)user;
    b->m.generation = generation;
    b->m.after = b->after;
    b->m.n_after = 3;
    for (size_t i = 0; i < 3; i++) {
        b->positions[i] = position_of((Hawser__V1__Stream)i, EPOCH, seq);
        b->after[i] = &b->positions[i];
    }
}

static inline void put_push(struct buf *out, uint32_t number, Hawser__V1__Stream stream,
                            uint64_t seq, const char *id, const char *payload) {
    Hawser__V1__Push m = HAWSER__V1__PUSH__INIT;
    m.product = number;
    m.stream = stream;
    m.seq = seq;
    m.id = (char *)(uintptr_t)id;
    m.payload = (ProtobufCBinaryData){strlen(payload), (uint8_t *)(uintptr_t)payload};
    frame_put(out, FRAME_PUSH, (const ProtobufCMessage *)&m);
}

#endif
