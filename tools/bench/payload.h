// A payload says when it was due, so that whoever gets it knows how long it took: all processes of
// a bench read one clock. And what a client has to see of a PUSH, read without unpacking it: a
// client that took longer than the sender would measure itself.
#ifndef BENCH_PAYLOAD_H
#define BENCH_PAYLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PAYLOAD_MIN = 32 };

// Printable text of exactly len bytes, PAYLOAD_MIN or more; no NUL behind it.
void payload_put(char *out, size_t len, uint64_t due_us);
// False when it is not one of ours.
bool payload_due(const uint8_t *payload, size_t len, uint64_t *ret_due_us);
// Makes the payload that stands somewhere in data say another time; false when there is none.
bool payload_restamp(uint8_t *data, size_t len, uint64_t due_us);

struct push_seen {
    uint64_t product, stream, seq;
    const uint8_t *payload; // borrowed from the body; NULL: none
    size_t payload_len;
};
// The body of a PUSH frame. False when it is malformed.
bool push_see(const uint8_t *body, size_t len, struct push_seen *ret_push);

#endif
