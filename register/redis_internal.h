// What the files of the Redis store share; nobody else includes it.
//
// Keys. Sessions: hw:{<product>:<bucket>}:r:<user>, a hash of rows by device, and :t:<user>, the
// last takeovers by device, so that a login step touches one slot; hw:{<product>}:on, live sessions
// by incarnation. The directory and the catalog: hw:{dir}:*, in one slot, so that a change and its
// version are one step.
//
// Whether a run is alive is not in a user's slot: this register reads the directory ten times a
// second and tells the scripts which runs live and which may come back.
#ifndef HW_REGISTER_REDIS_INTERNAL_H
#define HW_REGISTER_REDIS_INTERNAL_H

#include "buf.h"
#include "loop.h"
#include "redis_conn.h"
#include "store.h"

enum { ARGS_MAX = 24, VIEW_MS = 100 };

enum register_script {
    SCRIPT_LOGIN,
    SCRIPT_TAKEOVER,
    SCRIPT_DROP,
    SCRIPT_CONFIRM,
    SCRIPT_ANNOUNCE,
    SCRIPT_WITHDRAW,
    SCRIPT_WATCH,
    SCRIPT_PUT,
    SCRIPT_GET,
    SCRIPT_VIEW,
    SCRIPT_NUMBER,
    SCRIPTS,
};
// A full server refuses a script's first command that may take memory, and none behind one that has
// written, so that no step is done by half. What may grow therefore asks before it writes anything;
// a step that lets go, or only changes what is there, says so instead.
#define LUA_GROW                                                                                   \
    "local function grow() redis.call('SETRANGE', KEYS[1] .. ':nothing', 0, '') end\n"             \
    "local function no_growth() redis.call('DEL', KEYS[1] .. ':nothing') end\n"

extern const char register_script_login[], register_script_takeover[], register_script_drop[],
    register_script_confirm[], register_script_announce[], register_script_withdraw[],
    register_script_watch[], register_script_put[], register_script_get[], register_script_view[],
    register_script_number[];

struct redis_store {
    struct register_store store; // first
    struct loop *loop;
    struct redis_conn *conn; // owned
    struct redis_script scripts[SCRIPTS];
    struct timer view_timer;
    struct buf live, undead; // " <incarnation> <incarnation> ": alive; alive or not gone for good
    uint64_t view_ms;        // the store's clock then
    bool view_known, view_asked;
};

// A step that is on its way. Completed, it is gone.
struct step {
    struct redis_store *store;
    register_done_fn *done;
    void *arg;
    ProtobufCMessage *request; // owned
    int open, error;           // of steps with several commands
    uint64_t sum;
};
void register_step_complete(struct step *p, int error, ProtobufCMessage *reply);

struct redis_args { // of a call: texts are borrowed until it was sent
    int keys, count;
    const char *v[ARGS_MAX];
    size_t len[ARGS_MAX];
    char numbers[ARGS_MAX][24];
    char key[192], second_key[192];
};
void register_arg_bytes(struct redis_args *a, const void *bytes, size_t len);
void register_arg_text(struct redis_args *a, const char *text);
void register_arg_u64(struct redis_args *a, uint64_t n);
void register_args_user(struct redis_args *a, uint32_t product, const char *user); // its key
void register_args_takeovers(struct redis_args *a, uint32_t product,
                             const char *user);     // the second key; follows at once
void register_args_directory(struct redis_args *a); // "hw:{dir}"
void register_script_send(struct redis_store *s, enum register_script script,
                          const struct redis_args *a, redis_done_fn *done, void *arg);
uint64_t register_reply_u64(const redisReply *r, size_t i); // 0 when there is none
const redisReply *register_reply_at(const redisReply *r, size_t i);
bool register_view_has(const struct buf *view, uint64_t incarnation);
bool register_view_is_over(const struct redis_store *s, uint64_t incarnation); // gone for good

void register_redis_login(struct step *p);
void register_redis_takeover(struct step *p);
void register_redis_drop(struct step *p);
void register_redis_confirm(struct step *p);
void register_redis_find(struct step *p);
void register_redis_online(struct step *p);
void register_redis_announce(struct step *p);
void register_redis_withdraw(struct step *p);
void register_redis_watch(struct step *p);
void register_redis_put(struct step *p);
void register_redis_get(struct step *p);

#endif
