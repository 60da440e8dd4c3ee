#include "kept_hints.h"

#include <stdlib.h>

#include "buf.h"

struct kept_hint {
    UT_hash_handle hh;
    struct {
        uint64_t generation, slot; // no padding: it is hashed
    } session;
    struct hinted about;
};

static void kept_hint_room_free(struct kept_hints *k, struct hint_room *room) {
    struct kept_hint *h, *next;
    HASH_ITER(hh, room->hints, h, next) {
        HASH_DEL(room->hints, h);
        free(h);
    }
    HASH_DEL(k->rooms, room);
    free(room);
}

void kept_hints_deinit(struct kept_hints *k) {
    struct hint_room *room, *next;
    HASH_ITER(hh, k->rooms, room, next)
        kept_hint_room_free(k, room);
}

void kept_hints_forget(struct kept_hints *k, uint64_t incarnation) {
    struct hint_room *room = NULL;
    HASH_FIND(hh, k->rooms, &incarnation, sizeof(incarnation), room);
    if (room)
        kept_hint_room_free(k, room);
}

static struct hint_room *room_get(struct kept_hints *k, uint64_t incarnation) {
    struct hint_room *room = NULL;
    HASH_FIND(hh, k->rooms, &incarnation, sizeof(incarnation), room);
    if (room)
        return room;
    room = hw_calloc(1, sizeof(*room));
    room->incarnation = incarnation;
    HASH_ADD(hh, k->rooms, incarnation, sizeof(room->incarnation), room);
    return room;
}

enum hint_fate kept_hints_put(struct kept_hints *k, const struct hint_session *session,
                              const struct hinted *h) {
    struct hint_room *room = room_get(k, session->incarnation);
    struct kept_hint *kept = NULL, key = {.session = {session->generation, session->slot}};
    HASH_FIND(hh, room->hints, &key.session, sizeof(key.session), kept);
    if (kept) {
        if (kept->about.epoch != h->epoch || kept->about.seq < h->seq)
            kept->about = *h;
        return HINT_OF_KNOWN_SESSION;
    }
    if (HASH_COUNT(room->hints) >= HINTS_PER_ROOM_MAX)
        return HINT_HAS_NO_PLACE;
    kept = hw_calloc(1, sizeof(*kept));
    kept->session = key.session;
    kept->about = *h;
    HASH_ADD(hh, room->hints, session, sizeof(kept->session), kept);
    return HINT_OF_NEW_SESSION;
}

bool kept_hints_take(struct hint_room *room, struct hint_session *ret_session,
                     struct hinted *ret_about) {
    struct kept_hint *h = room->hints;
    if (!h)
        return false;
    *ret_session = (struct hint_session){room->incarnation, h->session.generation, h->session.slot};
    *ret_about = h->about;
    HASH_DEL(room->hints, h);
    free(h);
    return true;
}
