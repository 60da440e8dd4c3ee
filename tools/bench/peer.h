// Other servers that hand a message to many, measured as Hawser is: by the same processes of
// clients, with payloads of the same size, on the same cores. A server is started with the
// configuration that costs it least: nothing is kept, nothing is logged, no client has to name
// itself.
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#include <stdbool.h>
#include <stddef.h>

#define PEER_CHANNEL "hwb" // what all of its clients listen to; three bytes
#define PEER_NATS_CONNECT                                                                          \
    "CONNECT {\"verbose\":false,\"pedantic\":false,\"lang\":\"c\",\"version\":\"1\"}\r\n"

struct bench;
bool peer_is_known(const char *name); // "redis", "nats", "mosquitto"
// Starts options->peer, and aims the clients at it. False: b->error.
bool peer_begin(struct bench *b);
void peer_end(struct bench *b);
// Hands a payload to the server, for everyone.
void peer_publish(struct bench *b, const char *payload, size_t len);

#endif
