// hawser.h - the Hawser client for C: receive pushed messages, in order, without losing any.
//
// A client is one device. A client keeps one connection to a room of the cluster, and on that any
// number of bindings up to 16: one for each product, each with a token (a JWT that your server
// issues) that names product and user. Each binding reads three ordered streams: the user's inbox,
// and the product's two broadcast logs, news and bulk.
//
//     static int print(void *arg, const struct hawser_message *m) {
//         fwrite(m->payload, 1, m->payload_len, stdout);
//         return 0; // handled: the SDK stores the position, then acknowledges
//     }
//
//     const char *dispatchers[] = {"push.example.org:7100"};
//     struct hawser_options options = {.dispatchers = dispatchers, .dispatcher_count = 1,
//                                      .device = "phone-1", .positions_path = "positions.txt",
//                                      .callbacks = {.on_message = print}};
//     char error[HAWSER_ERROR_BYTES];
//     struct hawser_client *client = hawser_new(&options, error, sizeof(error));
//     hawser_bind(client, token, NULL, 0);
//     hawser_run(client); // until hawser_stop, or until the cluster stops it
//     hawser_free(client);
//
// What is promised. Every message of a stream is handed on once and in order, however often the
// connection breaks; what cannot be delivered any more is announced by on_gap, and lost continuity
// by on_reset. The order is: your callback handles, then the position is stored, then the cluster
// hears of it. So a crash between handling and storing gives a message twice: make handling
// idempotent by its id where that matters. Positions are written in batches (see ack_delay_ms).
//
// Threads. A client belongs to one thread: the one that steps it. hawser_stop alone may be called
// from any thread and from a signal handler. Callbacks run inside hawser_step, hawser_run, and also
// inside the calls that change bindings; they may call everything here but hawser_step, hawser_run
// and hawser_free. What callbacks get is valid until they return.
//
// Errors. Functions that can fail return 0 (or a number above 0), or a negated errno value. Nothing
// is printed. Memory exhaustion aborts the process.
#ifndef HAWSER_H
#define HAWSER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    HAWSER_ERROR_BYTES = 256,  // holds any error text
    HAWSER_BINDINGS_MAX = 16,  // products on one connection
    HAWSER_ENDPOINTS_MAX = 16, // dispatchers, and rooms
    HAWSER_DEVICE_MAX = 64,    // bytes of a device id
    HAWSER_TAGS_MAX = 32,      // tags of a binding, each up to 64 bytes, together up to 1 KiB
    HAWSER_TOKEN_MAX = 2560,   // bytes of a token
    HAWSER_UPSTREAM_ID_BYTES = 16,
};

// What is declared here is all that the libraries export.
#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif

struct hawser_client;

enum hawser_stream { HAWSER_INBOX, HAWSER_NEWS, HAWSER_BULK };

enum hawser_network {
    HAWSER_NETWORK_UNKNOWN,
    HAWSER_WIFI,
    HAWSER_CELL_2G,
    HAWSER_CELL_3G,
    HAWSER_CELL_4G,
    HAWSER_CELL_5G,
    HAWSER_WIRED,
};

// Why messages of a stream will never come. A newer cluster may send numbers beyond these.
enum hawser_gap_reason {
    HAWSER_GAP_UNKNOWN,
    HAWSER_GAP_EXPIRED,
    HAWSER_GAP_OVERFLOWED,          // more waited than the stream keeps
    HAWSER_GAP_RECALLED,            // the sender took it back
    HAWSER_GAP_PARKED,              // refused too often by on_message
    HAWSER_GAP_COLLAPSED,           // a newer message with the same collapse key took its place
    HAWSER_GAP_STORE_RESTARTED = 7, // the store went back: something may have been lost
};

enum hawser_state {
    HAWSER_OFFLINE,    // no connection; the next try is in hawser_status.retry_ms, if at all
    HAWSER_CONNECTING, // asking a dispatcher, or logging in at a room
    HAWSER_ONLINE,     // logged in
    HAWSER_STOPPED,    // by hawser_stop (code 0) or by the cluster, which also ends the client with
                       // the last binding; hawser_start tries again
};

// Close codes of the cluster. Others may come: code / 100 is the class.
enum hawser_close {
    HAWSER_REPLACED = 4001,       // the same user and device logged in elsewhere
    HAWSER_TOKEN_REFUSED = 4002,  //
    HAWSER_KICKED = 4003,         // by an administrator, or banned
    HAWSER_PRODUCT_CLOSED = 4004, // unknown or closed
    HAWSER_TOKEN_EXPIRED = 4005,  //
    HAWSER_BUSY = 4101,           // the rest are dealt with by the SDK
    HAWSER_TRY_ANOTHER = 4102,    //
    HAWSER_RATE_LIMITED = 4103,   //
    HAWSER_DRAINING = 4200,       //
    HAWSER_NO_ANSWER = 4201,      //
    HAWSER_TOO_SLOW = 4202,       // not sent yet: the connection just ends
    HAWSER_MALFORMED = 4300,      //
    HAWSER_TOO_LARGE = 4301,      //
    HAWSER_UNEXPECTED = 4302,     //
};

struct hawser_message {
    int binding;         // as hawser_bind returned it
    const char *product; // its product's name
    const char *user;    //
    enum hawser_stream stream;
    uint64_t seq;        // its position in the stream, from 1; 0: a live message, sent at most once
    const char *id;      // as the push API answered, unique in the product
    const void *payload; //
    size_t payload_len;  // bytes, up to 64 KiB
    uint64_t sent_ms;    // Unix time, ms: when the cluster accepted it
    uint64_t expires_ms; // Unix time, ms; 0 = with the stream's retention
    const char *collapse_key; // "" when none
    const char *content_type; // "" when none
};

struct hawser_gap {
    int binding;
    const char *product;
    const char *user;
    enum hawser_stream stream;
    uint64_t first, last; // of these, what was not handed on never will be
    enum hawser_gap_reason reason;
    // The number to show, if any: "you missed up to count_max messages". Others' messages lie
    // within first..last too, and after HAWSER_GAP_STORE_RESTARTED or an unknown reason the range
    // is no number at all (it may span 10^15). 0: say only that messages may be missing, and fetch
    // from your own servers what matters.
    uint64_t count_max;
};

// The stream starts again after seq: what lay between cannot be known. Fetch from your own servers
// what you need of it.
struct hawser_reset {
    int binding;
    const char *product;
    const char *user;
    enum hawser_stream stream;
    uint64_t epoch, seq;
    const char *reason;
};

struct hawser_status {
    enum hawser_state state;
    uint32_t code;      // a Close code of the cluster, or 0
    const char *reason; // text, "" when none
    uint64_t retry_ms;  // OFFLINE: the next try is this far ahead; UINT64_MAX = none is planned
    uint32_t
        retry_after_ms; // STOPPED: the cluster asks not to come back before; 0 = it did not say
};

// What became of one binding.
struct hawser_binding_event {
    int binding;
    bool bound;          // true: logged in; false: it ended, and the number is free again
    bool resumed;        // bound: nothing happened in between
    const char *product; // "" when the token could not be read
    const char *user;    //
    // ended: the Close code that says why; 0 = by hawser_unbind. bound: 0, or why a new token or
    // other tags were refused: the binding goes on with the old ones until their end.
    uint32_t code;
    const char *reason;  //
    uint64_t expires_ms; // bound: the token's end, Unix time; 0 = unknown
    uint64_t generation; // bound: rises with every login of this product, user and device
};

struct hawser_reply {
    const uint8_t *id;   // HAWSER_UPSTREAM_ID_BYTES, as given to hawser_upstream
    uint32_t status;     // 202 queued, or the callback's HTTP status; 404 no callback for the type,
                         // 410 binding gone, 429 and 503 not taken, 504 no answer in time
    const void *payload; //
    size_t payload_len;  //
    const char *reason;  //
};

// All may be NULL but on_message. arg is hawser_options.arg.
struct hawser_callbacks {
    // 0: handled; the position moves. Anything else: not now. Nothing newer of this stream is then
    // handed on until the cluster sends it again with all behind it, after about 30 s or at the
    // next login; after 5 tries, in 3 sessions or more and over 10 minutes or more, it is parked
    // and comes as a gap. The value is ignored for live messages.
    int (*on_message)(void *arg, const struct hawser_message *message);
    void (*on_gap)(void *arg, const struct hawser_gap *gap);
    void (*on_reset)(void *arg, const struct hawser_reset *reset);
    // All that was accepted for the inbox and news before the login has been handed on. May come
    // again.
    void (*on_synced)(void *arg, int binding, const char *product, const char *user);
    void (*on_state)(void *arg, const struct hawser_status *status);
    void (*on_binding)(void *arg, const struct hawser_binding_event *event);
    // The binding's token ends soon (expired false: up to 60 s ahead) or the last new one was
    // refused, or it has ended and the binding waits for another (true). Answer with hawser_renew,
    // in here or later; after that the client comes again at once, or a while later when that
    // token is refused as well. Without this callback an expired token ends its binding like a
    // refused one.
    void (*on_token_needed)(void *arg, int binding, const char *product, bool expired);
    void (*on_reply)(void *arg, const struct hawser_reply *reply);
    // For a log: what the SDK copes with by itself (a broken connection, a position file that could
    // not be written and is tried again).
    void (*on_notice)(void *arg, const char *text);
};

// All strings are copied; callbacks and arg must live as long as the client.
struct hawser_options {
    // Where to go: "host:port", "[v6]:port". Dispatchers name the best room; rooms are used when
    // there are no dispatchers, or none of them answers. At least one of either.
    const char *const *dispatchers;
    size_t dispatcher_count;
    const char *const *rooms;
    size_t room_count;
    const char *device;          // 1..64 bytes of UTF-8, stable per installation
    enum hawser_network network; //
    uint32_t heartbeat_s;        // what you would like, seconds; 0 = the room chooses
    // Handled positions up to this long and at most 16 messages are stored and acknowledged
    // together. 0 = 200 ms, at most 10,000. More means fewer writes and more repeats after a crash.
    uint32_t ack_delay_ms;
    // A file of positions, made when missing (its folder must exist), locked while the client
    // lives by a file beside it, positions_path and ".lock", which stays. NULL = kept in memory:
    // after a restart the cluster's own copy counts.
    const char *positions_path;
    struct hawser_callbacks callbacks;
    void *arg; // for the callbacks
};

// A client, not yet connected: it connects in the first step after a bind. NULL: why is in
// error[0..error_len); a wrong option, or a positions file that is spoiled, locked or unreadable
// (it is then left as it is; remove it to start anew).
struct hawser_client *hawser_new(const struct hawser_options *options, char *error,
                                 size_t error_len);
// Ends the connection without a farewell if hawser_stop was not called before; the cluster then
// keeps the session for a moment. Stores what was handled. NULL is harmless.
void hawser_free(struct hawser_client *client);

// Adds a binding and returns its number (1 or more), also before connecting. The token's product
// and user are read from it; a bind for a product and user that is there already renews it, one for
// another user takes the old user's place once the room has answered. tags may be NULL when
// tag_count is 0.
// -EINVAL: token or tags empty or over a limit; -E2BIG: 16 products are bound.
int hawser_bind(struct hawser_client *client, const char *token, const char *const *tags,
                size_t tag_count);
// A new token, same tags. A token that the cluster refuses leaves the binding as it is: on_binding
// tells of it, and the old token serves until its end. -ENOENT: no such binding; -EINVAL: a bad
// token, or one for another product or user.
int hawser_renew(struct hawser_client *client, int binding, const char *token);
// Ends a binding; on_binding follows before this returns. -ENOENT: no such binding.
int hawser_unbind(struct hawser_client *client, int binding);
// The network changed: tells the room, which also shows at once whether the connection still works.
void hawser_set_network(struct hawser_client *client, enum hawser_network network);

// Sends a message up to the product's callback of that type (1..64 bytes). id: 16 bytes that you
// choose, the same when you send it again; on_reply brings the outcome. Without an answer (the
// connection broke) send it again once online. with_reply: wait for what the callback answers.
// -ENOENT: no such binding; -ENOTCONN: not logged in now; -EMSGSIZE: over the room's limit
// (64 KiB less some bytes); -EINVAL: a bad type.
int hawser_upstream(struct hawser_client *client, int binding, const char *type,
                    const uint8_t id[HAWSER_UPSTREAM_ID_BYTES], const void *payload,
                    size_t payload_len, bool with_reply);

// Acknowledges, says good-bye and stops. Async-signal-safe, from any thread; takes effect in the
// next step, or ends the running one. The state becomes HAWSER_STOPPED with code 0, also when the
// cluster had stopped the client before.
void hawser_stop(struct hawser_client *client);
// After HAWSER_STOPPED: tries again from the start, with the bindings that have not ended.
// Otherwise no effect.
void hawser_start(struct hawser_client *client);
// As last reported; borrowed, and it changes.
const struct hawser_status *hawser_status_get(const struct hawser_client *client);
#ifndef __cplusplus // in C++ a function of that name would hide the struct
#define hawser_status(client) hawser_status_get(client)
#endif

// Blocks and works until the client is stopped. 0: by hawser_stop; else the Close code with which
// the cluster stopped it (see hawser_status).
uint32_t hawser_run(struct hawser_client *client);

// For a loop of your own: poll hawser_fd for reading, at most until hawser_next_wakeup_ms, then
// call hawser_step(client, 0). hawser_fd is one epoll descriptor for all the client does; -1 when
// the client runs on a loop that has none.
int hawser_fd(const struct hawser_client *client);
// Milliseconds from now until hawser_step has something to do without any event: 0 = now,
// INT32_MAX = not before an event. Fit for poll().
int hawser_next_wakeup_ms(const struct hawser_client *client);
// One round of work; waits up to timeout_ms for an event (0 = not at all, negative = until one).
// False once the client is stopped and its connection has ended.
bool hawser_step(struct hawser_client *client, int timeout_ms);

const char *hawser_stream_name(enum hawser_stream stream);  // "inbox", "news", "bulk"
const char *hawser_state_name(enum hawser_state state);     // "offline", "connecting", ...
const char *hawser_gap_name(enum hawser_gap_reason reason); // "expired", ...; "unknown" for others

#ifdef __GNUC__
#pragma GCC visibility pop
#endif

#ifdef __cplusplus
}
#endif
#endif
