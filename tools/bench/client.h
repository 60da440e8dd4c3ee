// One client as the bench plays it: a socket, and as little beside it as the protocol allows, since
// a machine has to hold as many of these as sessions. What it says and reads is its dialect's.
//
//   AWAY --login--> CONNECTING --hello--> ASKED --welcome--> OPEN --logout, end--> AWAY
//                        ^------ told to come again, or lost: after a while ------'
#ifndef BENCH_CLIENT_H
#define BENCH_CLIENT_H

#include "buf.h"
#include "loop.h"
#include "share.h"

enum { CLIENT_STREAMS = 3 }; // INBOX, NEWS, BULK

enum client_state { CLIENT_AWAY, CLIENT_CONNECTING, CLIENT_ASKED, CLIENT_OPEN };

struct client_position {
    uint64_t epoch, seq;
};

struct client {
    struct worker *worker; // borrowed, outlives it
    struct watch *watch;   // NULL: no connection
    struct buf kept;       // owned: a frame of which more is to come
    struct buf unsent;     // owned: what the kernel did not take
    struct timer again;    // the next try to log in
    uint64_t due_us;       // when its login was due
    uint64_t pinged_us;    // 0: no ping of ours is out
    struct client_position at[CLIENT_STREAMS];
    uint64_t said_ms; // when it said something last
    uint32_t number;  // in all of the bench
    uint32_t product; // as the room numbers it
    int fd;
    uint16_t unacked[CLIENT_STREAMS];
    uint8_t state;    // enum client_state
    uint8_t failures; // logins without success, one after the other
    bool is_synced;
};

// What a server and its clients speak. on_data returns how many bytes it is done with; the rest
// comes again with more behind it.
struct dialect {
    const char *name;
    void (*greet)(struct client *c); // the connection stands
    size_t (*on_data)(struct client *c, const uint8_t *data, size_t len);
    void (*ping)(struct client *c);
    void (*sweep)(struct client *c); // every few seconds; may be NULL
    void (*part)(struct client *c);  // a last word before the end; may be NULL
};
extern const struct dialect dialect_hawser, dialect_floor, dialect_redis, dialect_nats,
    dialect_mqtt;

struct worker {
    struct share *share;
    struct worker_share *own; // of share
    struct loop *loop;
    const struct dialect *dialect;
    struct client *clients; // owned; numbers first..first+count-1
    uint32_t first, count;
    uint64_t expires_s;  // of tokens
    uint64_t spread_ms;  // what rooms told: to wait so long at most when a connection is lost
    uint64_t now_us;     // of the read that runs
    struct buf scratch;  // owned
    struct login *login; // owned: the one that runs, or ran last
    struct pings *pings; // owned: likewise
    struct timer sweep;
};

void client_connect(struct client *c); // AWAY only
// What a dialect tells:
void client_is_open(struct client *c);   // logged in
void client_is_synced(struct client *c); // nothing is waiting for it any more
void client_got_pong(struct client *c);
void client_got(struct client *c, enum lane lane, const uint8_t *payload, size_t len);
void client_come_again(struct client *c, uint64_t after_ms); // its connection is of no use
void client_send(struct client *c, const void *data, size_t len);

void client_ping(struct client *c);
void client_part(struct client *c, bool in_order); // a word and an orderly end, or a reset

// Of the worker that it belongs to: a login is over, one way or another.
void worker_login_settled(struct worker *w);

#endif
