// The stores that all registers, and all savers, of the simulated cluster share: one memory store
// each behind a network of its own, which is slow, fails before or after the step was done, stands
// still, and goes back in time or is emptied.
#ifndef HW_SIM_STORES_H
#define HW_SIM_STORES_H

#include "../../register/register_store.h"
#include "../../saver/saver_store.h"
#include "world.h"

struct stores;
struct stores *stores_new(struct world *w);
void stores_free(struct stores *s);

struct store *stores_register(struct stores *s, int node); // for one run of a register
struct store *stores_saver(struct stores *s, int node);

// Faults. Stalled, until that time: no answers, and steps may or may not be done, or (deaf) are all
// done when it is over. Lost: of both stores, as of one server that both are in.
void stores_stall(struct stores *s, uint64_t until_us, bool is_deaf);
void stores_step_clock(struct stores *s, int64_t step_ms); // of the registers, against the world's
void stores_lose_everything(struct stores *s); // as FLUSHALL does: its history keeps its name
void stores_lose_tail(struct stores *s, uint64_t since_us); // a fail-over: it never happened
// The other server is primary, with all that was done; each connection hears of it when it is used
// again. Behind a fail-over it is the first one again, under its old run_id.
void stores_fail_back(struct stores *s);
void stores_park_after(struct stores *s, uint64_t least_ms); // from the first attempt on
// When a login of the device was last refused because there were too many; 0 = never.
uint64_t stores_throttled_us(const struct stores *s, const char *device);
// Direct questions, for the checks.
// When a lease ends, in the world's time; 0 = it is over.
uint64_t stores_lease_end_us(struct stores *s, uint64_t incarnation);
uint32_t stores_product(struct stores *s, const char *product); // its number; 0: not there
// Seq of the oldest message in an inbox, or one above its head.
uint64_t stores_oldest(struct stores *s, const char *product, const char *user);
// The caller frees the answer.
ProtobufCMessage *stores_ask_saver(struct stores *s, const ProtobufCMessage *request);
ProtobufCMessage *stores_ask_register(struct stores *s, const ProtobufCMessage *request);

#endif
