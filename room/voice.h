// How a room speaks to its clients: one table of functions for each protocol, and nothing of it in
// the session or the connection. Bytes become calls (hello_got_*, ack_got, conn_pinged); what is to
// be said becomes bytes. A broadcast's bytes are made once for each voice that a product's sessions
// speak, not once for each session.
#ifndef HW_VOICE_H
#define HW_VOICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "cluster.pb-c.h"
#include "feed.h"
#include "frame_run.h"
#include "saver.pb-c.h"
#include "stream.h"

struct conn;
struct room_binding;

struct stream_range { // a message or gap on its way to a client
    uint32_t product;
    enum feed_stream stream;
    uint64_t first, last; // seqs; 0: live. Equal for a message
    uint64_t store_ms;    // now, by the store's clock; 0: not known
    bool is_once;         // its bytes are for who wants it at most once: live, or FEED_WANTED_ONCE
};

// What is of the moment in a message that goes out to one client.
struct frame_moment {
    size_t len;                    // of its frame
    uint64_t expires_ms, store_ms; // of the message, 0: with its log; now
    bool is_again;                 // it was sent to this client before
};

enum { RESUME_BYTES = 36, BINDS_MAX = 16 };

// How the client of a lost connection finds its session again, which lingers for it.
enum voice_lingers {
    LINGERS_NOT,      // its sessions end with the connection
    LINGERS_BY_BYTES, // by the resume bytes of its Welcome
    LINGERS_BY_TOKEN, // by its next login: product, user and device. One binding a connection
};

struct bound {                    // what became of a Bind
    struct room_binding *binding; // NULL: refused before it was one
    uint32_t code;                // 0, or a Close code: then with its reason
    const char *reason;
    const char *name; // of its product, where that is not known; NULL: nobody knows it
    bool is_known;    // the cluster had this device before, and it goes on where it was
};

struct welcome { // the answer to a Hello
    struct bound bound[BINDS_MAX];
    size_t bound_count;
    uint8_t resume[RESUME_BYTES];
    uint32_t spread_ms; // of clients that come back after this room is lost
};

struct farewell {  // the last word to a client
    uint32_t code; // a Close code
    const char *reason;
    uint64_t retry_after_ms;
    // Another room that it may go to, where this one is full or drains; NULL: none is known, or its
    // voice names no servers. Its endpoints say where.
    const Hawser__Internal__Member *elsewhere;
};

// A file may have several, for versions of a protocol whose bytes differ.
enum voice_index { VOICE_HAWSER, VOICES };

struct voice {
    const char *name;       // for logs
    enum voice_index index; // of what is kept for each
    // CONN_STREAM_CALLS (conn.h), and as keep_max the largest of its client's messages.
    struct stream_ops stream;
    struct ack_limits ack_limits; // of each stream of its sessions
    // Whose session does not linger, or lingers no more, logs in again: product, user and device
    // lead to where the saver has it. What was sent and not acknowledged comes once more, either
    // way.
    enum voice_lingers lingers;
    bool names_servers; // say_close is given another room
    // Around a connection that speaks it: `begin` before its first bytes, `end` when it is freed,
    // by when its stream is gone. conn_transit(c)->voice_state is the voice's, which frees it in
    // `end` and leaves NULL. A resume brings a lingering connection the stream of another: each
    // keeps its own, but for what `resumed` moves. NULL: nothing.
    void (*begin)(struct conn *c);
    void (*end)(struct conn *c);
    // Before c, whose client was lost or seemed to be here, goes on with the stream of `by`: what
    // `by` has said of itself counts now, its ack limits too. NULL: nothing.
    void (*resumed)(struct conn *c, struct conn *by);
    // The session of a binding has ended, and its linger time with it, or its login was refused.
    // Its names and its connection are still there. NULL: nothing.
    void (*session_over)(struct room_binding *b);
    // Bytes of the client, at least one. How many are done with; the rest comes again with more
    // behind it. May end the connection, or hand its stream to another.
    size_t (*take)(struct conn *c, const uint8_t *data, size_t len);

    // What is said is given whole: these make bytes of it, and ask nobody above binding.c.
    void (*say_welcome)(struct conn *c, const struct welcome *welcome);
    void (*say_bound)(struct conn *c, const struct bound *bound);
    void (*say_reset)(struct room_binding *b, enum feed_stream stream, const char *reason);
    void (*say_synced)(struct room_binding *b);
    // NULL: it has no word for it. Its client is never asked: it is gone when nothing came from it
    // for one and a half heartbeats and a grace.
    void (*say_ping)(struct conn *c);
    void (*say_pong)(struct conn *c);
    void (*say_go_away)(struct conn *c, uint32_t within_ms, const char *reason);
    void (*say_close)(struct conn *c, const struct farewell *f);

    // Append to *out what any client of this voice is told of it: bytes that many share. So what
    // names a message to its client is made of its stream and seq.
    void (*put_message)(struct buf *out, const struct stream_range *at,
                        const Hawser__Internal__StoredMessage *m);
    // b: for this one alone; NULL: for all of this voice. One that tells gaps to some clients only
    // puts nothing for all, and is asked for each of them.
    void (*put_gap)(struct buf *out, const struct room_binding *b, const struct stream_range *at,
                    enum gap_reason reason);
    // So much of a stream's run has gone out to a client that acknowledges, or was passed over:
    // what its voice needs to know to make one position of acks of single messages. It keeps that
    // in voice_state, with the run's epoch: an ack that comes after a Reset is of the log before.
    // NULL: nothing.
    void (*went)(struct room_binding *b, enum feed_stream stream, const struct frame_run *run,
                 size_t items);
    // Changes, in a copy of a message's bytes for this one alone, what is of the moment. Called for
    // what is sent again, and for what expires when its bytes were made in another second than
    // this. NULL: nothing is, and all that is sent is what all share.
    void (*touch_up)(const struct room_binding *b, uint8_t *frame, const struct frame_moment *m);
};

extern const struct voice voice_hawser; // proto/client.proto

#endif
