// A byte stream (TCP or UNIX socket) in the loop, and listeners that make them.
//
//   connecting --connected--> open --stream_end / peer's end / error--> closing --end of
//   iteration--> gone
//
// Reading: bytes come from a buffer that all streams of the loop share; what on_data does not
// consume is kept per stream (and only then does the stream own memory) and presented again with
// more behind it. Writing is optimistic: straight to the kernel; only what it would not take is
// kept. A stream at rest has no buffers. Closing is deferred: on_closed is the last call, at the
// end of the iteration; until then the struct stays valid and every call on it is harmless. A
// stream reads at most 64 KiB per wake-up before others read (the rest continues in the
// same iteration's next round).
#ifndef HW_STREAM_H
#define HW_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "descriptors.h"
#include "loop.h"
#include "os.h"
#include "transport.h"

struct stream;

struct stream_ops {
    void (*on_connected)(void *owner, struct stream *s); // outgoing only; NULL if not needed
    // data[0..len), len >= 1. Returns how many bytes are done with (0..len); the rest stays and is
    // presented again when more has come. keep_max bounds the rest: a stream whose unconsumed rest
    // would pass it ends with -HW_ETOOBIG. A paused stream may keep one read (64 KiB) more, and
    // nothing is read behind it.
    size_t (*on_data)(void *owner, struct stream *s, const uint8_t *data, size_t len);
    void (*on_writable)(void *owner, struct stream *s); // the kernel takes bytes again after it did
                                                        // not and nothing is held; may be NULL
    void (*on_closed)(
        void *owner, struct stream *s,
        int error); // 0 = ended in order by either side, else negative; s is freed after it
    size_t keep_max;
};

// Connects to an address; on_connected or on_closed follows, never before this returns. NULL when
// out of descriptors (ret_error). ops is borrowed and outlives the stream (a static table); owner
// likewise lives until on_closed.
struct stream *stream_connect(struct loop *l, const struct sock_addr *to,
                              const struct stream_ops *ops, void *owner, int *ret_error);

// Hands it on. From inside on_data, too: what that leaves is presented to the new owner at once.
void stream_set_owner(struct stream *s, const struct stream_ops *ops, void *owner);
// From now on its bytes go through `t`, which the stream owns, and then through what they went
// through before; when nothing is held.
// What was read already is for whoever made `t` to give to it.
void stream_set_transport(struct stream *s, struct transport *t);
// What it has to read comes before other streams' from now on, however many of them are ready.
void stream_go_first(struct stream *s);
void stream_peer(const struct stream *s, struct sock_addr *ret_peer);

// Bytes that its owner left unconsumed when it was last asked, as the loop counts them.
size_t stream_kept(const struct stream *s);

// Gives bytes to the kernel and returns how many it took: 0 when some are held, when it takes none
// now, or when the stream is closing. When fewer than len, on_writable will be called.
size_t stream_write(struct stream *s, const void *data, size_t len);
size_t stream_writev(struct stream *s, const struct iovec *iov, int count);
// The same to several streams of one loop at once. None of them may be written to, or end, between.
struct stream_batch { // count = 0: empty
    struct stream *streams[OS_WRITES_MAX];
    struct os_write writes[OS_WRITES_MAX];
    size_t taken[OS_WRITES_MAX]; // as stream_write returns, once they are written
    int count;
};
// false: it is full, or this stream's bytes go out by stream_write only. data lives until then.
bool stream_batch_add(struct stream_batch *b, struct stream *s, const void *data, size_t len);
void stream_batch_write(struct stream_batch *b); // the caller empties it
// Keeps a copy of bytes (the rest of a frame, say), which go out before anything else. The caller
// bounds len.
void stream_hold(struct stream *s, const void *data, size_t len);
// stream_write and stream_hold of what the kernel did not take.
void stream_send(struct stream *s, const void *data, size_t len);
size_t stream_held(const struct stream *s); // bytes kept here, not yet taken by the kernel
// Held + what the peer's kernel has not acknowledged yet, and what was offered when it failed; in
// on_closed, what that was at its end.
int stream_unsent(const struct stream *s);

void stream_pause(struct stream *s); // no on_data until resume: back pressure
void stream_resume(struct stream *s);

// Ends the stream: held bytes are still given to the kernel as far as it takes them at once, then
// the socket closes. on_closed(error) follows at the end of this iteration. Ending twice is
// harmless, the first error counts.
void stream_end(struct stream *s, int error);
// Like stream_end(s, 0), but its owner hears no more of it.
void stream_abandon(struct stream *s);
// Like stream_end(s, 0) but waits until held bytes are out and the peer has ended, at most
// linger_ms: for a last frame such as Close. What still comes in is read and dropped. code: what
// the last frame gave as the reason (close_codes.h), 0 for none: a transport may say it again.
void stream_end_after_flush(struct stream *s, uint64_t linger_ms, uint32_t code);
// Asks the kernel: what came before its end may still be unread, and on_closed still to run.
bool stream_peer_is_gone(const struct stream *s);
bool stream_is_open(const struct stream *s); // neither connecting nor closing

struct listener;
// The new stream has no ops yet: on_accept must call stream_set_owner (or stream_end) before it
// returns.
typedef void accept_fn(void *arg, struct stream *s);
// The first free port of first..last, 0 for the kernel's choice. Borrowed for the call.
struct listen_at {
    const char *host;
    uint16_t first, last;
};
// 0, or negative errno of the last try. A listener is a door for clients until listener_set_door
// says otherwise.
int listener_new(struct loop *l, struct listen_at at, accept_fn *on_accept, void *arg,
                 struct listener **ret_listener) HW_MUST_CHECK;
// How far into the descriptors that are left this listener may go (descriptors.h). Beyond it a
// newcomer is closed at once, so that it goes elsewhere, and counted by the loop.
void listener_set_door(struct listener *ls, enum door_kind door);
uint16_t listener_port(const struct listener *ls);
void listener_free(struct listener *ls); // accepted streams live on. NULL is harmless

#endif
