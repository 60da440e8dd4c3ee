// Who asks: an answer goes to the slot and turn that asked, so that one for a session that is gone
// finds nobody.
#include "questions_internal.h"

struct question_asker *asker_new(const struct room_binding *b) {
    struct question_asker *a = hw_malloc(sizeof(*a));
    struct room *r = binding_room(b);
    *a = (struct question_asker){r, slab_slot(b), slab_turn(b), loop_now_ms(r->loop), NULL};
    return a;
}

struct question_asker *counted_asker_new(const struct room_binding *b, struct admission *kind) {
    struct question_asker *a = asker_new(b);
    a->admission = kind;
    admission_asked(kind);
    return a;
}

struct room_binding *asker_over(void *arg) {
    struct question_asker a = *(struct question_asker *)arg;
    free(arg);
    return a.room->is_stopping ? NULL : room_binding_find(a.room, a.slot, a.turn);
}

struct room_binding *counted_asker_over(void *arg, int error) {
    const struct question_asker *a = arg;
    admission_answered(a->admission, a->asked_ms, loop_now_ms(a->room->loop), error == 0);
    return asker_over(arg);
}

struct question_asker *login_asker_new(const struct room_binding *b) {
    return counted_asker_new(b, &binding_room(b)->questions.logins);
}

struct peer saver_of_binding(const struct room_binding *b) {
    return saver_of(binding_room(b)->cluster, b->product->number, room_binding_user(b));
}
