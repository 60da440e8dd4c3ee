// A dead letter made into a push again: to the user whose it is, and the devices that it was for,
// in the class that it had.
#ifndef HW_ANEW_H
#define HW_ANEW_H

#include "push.h"
#include "saver.pb-c.h"

struct inbox_place { // where dead letters lie
    const char *user;
    uint64_t epoch;
};
// Its message is there. Borrows from both; it lives as long as the product's messages do.
void push_of_dead_letter(const Hawser__Internal__DeadLetter *letter, const struct inbox_place *from,
                         struct push *ret);

#endif
