// The Lua of the Redis store, in parts that are put together: each script is one atomic step. KEYS:
// the front of the bucket's keys, with their hash tag; ARGV[1]: the server's run id.
//
//   hw:{P:B}: of bucket B of product P's users, hw:{P}: of its broadcasts; name = user, or stream
//     u:<name>  hash  h = epoch, head, change, run id, bytes, bytes that no device has handled;
//                     r = dropped ranges; m<seq> = a packed message
//     q:<name>  zset  all entries by seq; a member tells seq, end, bytes and the devices it is for
//     n:<name>  zset  those of them that no device has handled (an inbox's)
//     v:<name>  hash  device -> generation, seen, three positions
//     exp       zset  "seq name" by its end
//     ids, idx  hash, zset  ids that were seen -> the answer and the body's hash; by their end
//     sid       zset  ids of the rooms' sums
//     sum       hash  counters
//   hw:{P}:b  set  buckets that have something;  hw:products  set;  hw:sweep  who sweeps now
//
// No key has a TTL but hw:sweep. Numbers stay below 2^53, where Lua's are exact.
#ifndef HW_SAVER_REDIS_SCRIPTS_H
#define HW_SAVER_REDIS_SCRIPTS_H

extern const char saver_lua_log[], saver_lua_entries[];    // in front of every script
extern const char saver_lua_places[], saver_lua_devices[]; // and of those that need them
extern const char saver_lua_append[], saver_lua_load[], saver_lua_heads[], saver_lua_attach[],
    saver_lua_ack[], saver_lua_user[], saver_lua_sums[], saver_lua_sweep[];

#endif
