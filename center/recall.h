// A message that was accepted is taken back: out of its log first, then out of every room that may
// hold it. So no room begins to send it once that is answered.
#ifndef HW_RECALL_H
#define HW_RECALL_H

#include "request.h"

void recalls_end(struct center *c); // after all calls were cancelled

#endif
