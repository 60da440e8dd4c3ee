// The client's protocol without I/O: what a client owes a room (client.proto), where it goes next
// and when. The core owns no socket, no clock and no file: the shell (client.c), the simulation or
// a test gives it the time, bytes and events, and takes from it, after every call, in this order:
// bytes to send, "close", "connect", and the time of the next wake-up.
//
// Calls take now_ms of one monotonic clock. Callbacks of hawser.h run inside them, and may make the
// calls under "what the user wants"; all others come only from outside. Memory is fixed per binding
// (9 KiB, most of it the recent ids) plus the output of one call.
#ifndef HAWSER_CLIENT_CORE_H
#define HAWSER_CLIENT_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "addr.h"
#include "buf.h"
#include "hawser.h"
#include "positions.h"
#include "rng.h"

struct client_core;

// What a core is given by who runs it.
struct core_host {
    struct position_store *store; // borrowed, as rng: both outlive the core
    struct rng *rng;
    uint64_t now_ms;
};

// NULL: a wrong option, the reason in error. options->positions_path is not looked at.
struct client_core *core_new(const struct hawser_options *options, struct core_host host,
                             char *error, size_t error_len);
void core_free(struct client_core *c); // stores what was handled; NULL is harmless

// --- what happened

// The connection last asked for stands.
void core_connected(struct client_core *c, uint64_t now_ms);
// The connection failed or ended, for this reason (static text or a copy is taken).
void core_lost(struct client_core *c, uint64_t now_ms, const char *reason);
// Bytes of it. Returns how many are done with; the rest must be presented again with more behind
// it, never more than CORE_KEEP_MAX. After a close all are done with.
enum { CORE_KEEP_MAX = 4 + 64 * 1024 };
size_t core_received(struct client_core *c, uint64_t now_ms, const uint8_t *data, size_t len);
void core_tick(struct client_core *c, uint64_t now_ms); // at or after core_next_wakeup_ms

// --- what the user wants: as the functions of hawser.h

int core_bind(struct client_core *c, uint64_t now_ms, const char *token, const char *const *tags,
              size_t tag_count);
int core_renew(struct client_core *c, uint64_t now_ms, int binding, const char *token);
int core_unbind(struct client_core *c, uint64_t now_ms, int binding);
void core_set_network(struct client_core *c, uint64_t now_ms, enum hawser_network network);
// The arguments of hawser_upstream, borrowed.
struct core_upstream {
    const char *type;
    const uint8_t *id; // HAWSER_UPSTREAM_ID_BYTES of them
    const void *payload;
    size_t payload_len;
    bool with_reply;
};
int core_upstream(struct client_core *c, uint64_t now_ms, int binding,
                  const struct core_upstream *u);
void core_stop(struct client_core *c, uint64_t now_ms);
void core_start(struct client_core *c, uint64_t now_ms);

// --- what to do now

// Bytes for the connection that stands; the caller sends them all and resets the buffer. Borrowed.
struct buf *core_output(struct client_core *c);
// The connection, also one that is still being made, must end once those bytes are out. The core
// has forgotten it already: nothing more of it is reported. True once.
bool core_take_close(struct client_core *c);
// Connect there; core_connected or core_lost must follow. True once.
bool core_take_connect(struct client_core *c, struct host_port *ret_to);
uint64_t core_next_wakeup_ms(const struct client_core *c);            // UINT64_MAX = never
const struct hawser_status *core_status(const struct client_core *c); // borrowed, changes

#endif
