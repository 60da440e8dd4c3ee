// What devices have handled, what leaves an inbox, since all have, and what is recalled: steps at
// the front, whose answers say which messages met their end, and ends.h tells MariaDB. Part of
// durable.h's pair.
#ifndef HW_DURABLE_ENDS_H
#define HW_DURABLE_ENDS_H

#include "store_pair.h"

// The steps of the pair.
void durable_ack(struct store_step *p, const ProtobufCMessage *request);
void durable_attach(struct store_step *p, const ProtobufCMessage *request);
void durable_attempt(struct store_step *p, const ProtobufCMessage *request);
void durable_recall(struct store_step *p, const ProtobufCMessage *request);

struct ends *durable_ends_of(const struct store_step *p); // the pair's

#endif
