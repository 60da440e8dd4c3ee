// A push that is only checked: what it would be refused for that can be known before, how many it
// is for, and how many of these are there now. Nothing is stored, handed over or counted.
#ifndef HW_DRY_RUN_H
#define HW_DRY_RUN_H

#include "send.h"

// The sender's result is a dry one (struct sent). Called as that of send_push.
void dry_run(struct center *c, const struct product *product, struct push *push /* taken */,
             struct sender sender);

#endif
