// What a binding is called: its texts, which lie in one block (see struct awake), and the slot of
// its row, by which others name it.
#ifndef HW_NAMES_H
#define HW_NAMES_H

#include <stdbool.h>
#include <stdint.h>

struct room;
struct room_binding;

const char *room_binding_user(const struct room_binding *b); // NULL until the token is checked
const char *room_binding_tags(const struct room_binding *b); // with a NUL after each, and another
bool room_binding_has_tags(const struct room_binding *b, const char *tags); // NULL: none
// Of one that is awake. Copies both; tags may be NULL, for none.
void room_binding_name(struct room_binding *b, const char *user, const char *tags);
uint32_t room_binding_devices_max(const struct room_binding *b); // of its user

uint64_t room_binding_row_slot(const struct room_binding *b); // slot and turn
// NULL: it is not there any more, or its session is GONE.
struct room_binding *room_binding_of_row_slot(struct room *r, uint64_t row_slot);
struct room_binding *room_binding_find(struct room *r, uint32_t slot, uint32_t turn);

#endif
