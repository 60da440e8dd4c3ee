// The floors: what the machine allows to somebody who does nothing else.
#ifndef BENCH_FLOOR_H
#define BENCH_FLOOR_H

#include "share.h"

// A process that accepts connections and, at ORDER_SEND, sends the share's sample to each, with one
// call for each. It tells share->floor_ports[index]. Runs until `orders` is closed.
void floor_send_run(struct share *share, uint32_t index, int orders);

struct bench;
// Redis alone: for each message two scripts of three steps, as many as it does in the time that
// a run has. Puts floor_rate and ratio into the report.
bool floor_redis_measure(struct bench *b, double rate);

#endif
