// One connection between two daemons, as both ends see it: the hand-shake that proves the cluster
// secret, frames in and out, batches that are flushed before the loop sleeps, and pings. Links
// (link.c) and servers (server.c) stand on it; nobody else includes it.
//
//   client: HELLO ->            GREETING  --server's HELLO, proof right--> PROOF ->  OPEN
//   server:          <- HELLO   GREETING  --client's HELLO--> PROVING --PROOF right--> OPEN
//   any fault or 5 s without getting there: the channel ends
//
// A server reads no requests while replies are held for its peer. A client always reads, so that
// the two never wait for each other; what it holds is bounded by its calls in flight.
#ifndef HW_RPC_CHANNEL_H
#define HW_RPC_CHANNEL_H

#include "rpc.h"
#include "rpc.pb-c.h"
#include "rpc_frame.h"
#include "stream.h"

enum {
    NONCE_BYTES = 16,
    ROLE_MAX = 32,
    BUILD_MAX = 32,
    BATCH_BYTES_MAX = 256 * 1024,
    BATCH_ITEMS_MAX = BATCH_BYTES_MAX / 2, // an item has two bytes at least
    OUT_BYTES_MAX = 64 * 1024 * 1024
};
enum channel_state { CHANNEL_GREETING, CHANNEL_PROVING, CHANNEL_OPEN, CHANNEL_ENDED };

struct channel_request {
    uint16_t method;
    uint32_t call;
    const uint8_t *body; // borrowed
    size_t len;
};
struct channel_events {
    void (*on_open)(void *owner);
    void (*on_request)(void *owner, const struct channel_request *q);
    void (*on_reply)(void *owner, const Hawser__Internal__RpcReply *reply);
    void (*on_flush)(void *owner); // before the loop sleeps: put what is batched into the channel
    void (*on_ended)(void *owner, int error); // the last call
};

struct channel_options {
    struct loop *loop;                   // borrowed
    const struct rpc_identity *self;     // borrowed
    struct stream *stream;               // taken over; of a client one that connects
    const char *expected_role;           // client: the server's role, borrowed; NULL on a server
    const struct channel_events *events; // borrowed, static
    void *owner;
};
struct channel {
    struct channel_options options;
    struct stream *stream; // NULL once ended
    enum channel_state state;
    int error; // why it ends, if we said so
    uint8_t nonce[NONCE_BYTES], peer_nonce[NONCE_BYTES];
    char peer_role[ROLE_MAX + 1];
    uint64_t peer_incarnation;
    uint32_t peer_minor;            // its version of the protocol
    char peer_build[BUILD_MAX + 1]; // as far as it fits
    uint64_t heard_ms;
    bool is_asked; // by a ping, since it was heard
    size_t held;   // bytes that the kernel had not taken when last looked at
    struct timer idle;
    struct hook flush;
    struct buf out;
    bool busy;                       // inside one of its events
    void (*free_owner)(void *owner); // set when the owner was given up inside one
};

void channel_init(struct channel *c, const struct channel_options *o);
void channel_end(struct channel *c, int error); // on_ended follows at the end of the iteration
void channel_detach(struct channel *c);         // at once and silently: no event comes any more
// Detaches, and frees the owner (which holds c) as soon as no event of c is running.
void channel_give_up(struct channel *c, void (*free_owner)(void *owner));
void channel_want_flush(struct channel *c);
void channel_ask(struct channel *c);          // a ping: any frame of the peer answers it
uint64_t channel_heard_ms(struct channel *c); // when the peer was last known to live
// A batch as one frame, of BATCH_ITEMS_MAX items at most; items are consumed. Ends the channel when
// the peer leaves more than OUT_BYTES_MAX unread.
void channel_put_batch(struct channel *c, const struct rpc_frame *head, struct buf *items);

#endif
