// A list of whom something is to be told, or who is to be looked at: numbers that the caller finds
// them by, each of whom may be gone by then. All-zero is empty.
#ifndef HW_HANDLES_H
#define HW_HANDLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct handles {
    uint64_t *list; // owned
    size_t count, capacity;
    size_t at; // whose look is next
};

// Whether it stays in the list. The function may add to the list.
typedef bool handle_fn(void *arg, uint64_t handle);

void handles_add(struct handles *h, uint64_t handle);
void handles_deinit(struct handles *h);                      // leaves it empty
void handles_move(struct handles *from, struct handles *to); // leaves `from` empty; NULL: dropped
// Each of them once, in order. Who is added meanwhile, or stays, is there the next time.
void handles_take(struct handles *h, handle_fn *fn, void *arg);
// The next `looks` of them, round and round: each that does not stay gives its place to the last.
// After a storm memory goes back step by step.
void handles_look(struct handles *h, size_t looks, handle_fn *fn, void *arg);

#endif
